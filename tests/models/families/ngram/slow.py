"""Every smoothing with dictionaries and exact fractions: the formulas, read off, and slow."""

from collections import Counter
from fractions import Fraction

import numpy as np


class SlowNGram:
    """`documents` are lists of ids without the `bos` around them."""

    def __init__(self, documents, order, vocab_size, bos, continuations=False):
        self.order, self.vocab_size, self.bos = order, vocab_size, bos
        raw = Counter()
        for document in documents:
            text = [bos, *document, bos]
            for end in range(2, len(text) + 1):
                for begin in range(max(end - order, 0), end):
                    raw[tuple(text[begin:end])] += 1
        preceders = {}
        for gram in raw:
            if len(gram) > 1:
                preceders.setdefault(gram[1:], set()).add(gram[0])
        self.raw, self.counts = raw, {}
        for gram, n in raw.items():
            is_raw = not continuations or len(gram) == order or (len(gram) > 1 and gram[0] == bos)
            self.counts[gram] = n if is_raw else len(preceders[gram])
        self.followers = {}
        for gram, n in self.counts.items():
            self.followers.setdefault(gram[:-1], {})[gram[-1]] = n

    def probability(self, context, token):
        """`context` are the tokens before `token`, from the begin of the text or of what is known of it."""
        context = tuple(context)
        if self.bos in context:
            context = context[len(context) - 1 - context[::-1].index(self.bos) :]
        return self.smoothed(context[max(len(context) - self.order + 1, 0) :], token)

    def lower(self, context, token):
        return self.smoothed(context[1:], token) if context else Fraction(1, self.vocab_size)

    def how_many(self, n, count):
        return sum(c == count for g, c in self.counts.items() if len(g) == n)


class SlowDiscounting(SlowNGram):
    def smoothed(self, context, token):
        lower, following = self.lower(context, token), self.followers.get(context)
        if following is None:
            return lower
        total, n = sum(following.values()), len(context) + 1
        taken = sum(self.discount(n, count) for count in following.values())
        own = following[token] - self.discount(n, following[token]) if token in following else 0
        return (own + taken * lower) / total

    def discount(self, n, count):
        return self.discounts[n]


class SlowAbsoluteDiscounting(SlowDiscounting):
    continuations = False

    def __init__(self, documents, order, vocab_size, bos):
        super().__init__(documents, order, vocab_size, bos, continuations=self.continuations)
        self.discounts = {}
        for n in range(1, order + 1):
            ones, twos = self.how_many(n, 1), self.how_many(n, 2)
            self.discounts[n] = Fraction(ones, ones + 2 * twos) if ones else Fraction(1, 2)


class SlowKneserNey(SlowAbsoluteDiscounting):
    continuations = True


class SlowModifiedKneserNey(SlowDiscounting):
    def __init__(self, documents, order, vocab_size, bos):
        super().__init__(documents, order, vocab_size, bos, continuations=True)
        self.discounts = {}
        for n in range(1, order + 1):
            of = [None, *(self.how_many(n, i) for i in (1, 2, 3, 4))]
            three = None
            if of[1] and of[2] and of[3]:
                y = Fraction(of[1], of[1] + 2 * of[2])
                three = [i - (i + 1) * y * Fraction(of[i + 1], of[i]) for i in (1, 2, 3)]
            if three is None or min(three) <= 0:
                three = [Fraction(1, 2), Fraction(1), Fraction(3, 2)]
            self.discounts[n] = three

    def discount(self, n, count):
        return self.discounts[n][min(count, 3) - 1]


class SlowJelinekMercer(SlowNGram):
    weights = ()

    def smoothed(self, context, token):
        lower, following = self.lower(context, token), self.followers.get(context)
        if following is None:
            return lower
        weight = Fraction(self.weights[len(context)])
        return weight * Fraction(following.get(token, 0), sum(following.values())) + (1 - weight) * lower


class SlowAddK(SlowNGram):
    k = Fraction(1)

    def smoothed(self, context, token):
        following = self.followers.get(context, {})
        return (following.get(token, 0) + self.k) / (sum(following.values()) + self.k * self.vocab_size)


class SlowMaximumLikelihood(SlowNGram):
    def smoothed(self, context, token):
        following = self.followers.get(context)
        return Fraction(following.get(token, 0), sum(following.values())) if following else Fraction(0)


class SlowStupidBackoff(SlowNGram):
    factor = Fraction(0.4)

    def smoothed(self, context, token):
        following = self.followers.get(context, {})
        if token in following:
            return Fraction(following[token], sum(following.values()))
        return self.factor * self.smoothed(context[1:], token) if context else Fraction(0)


def arrays(documents, bos):
    """The same documents as the model reads them."""
    return [np.array([bos, *document]) for document in documents]
