"""Interpolated Kneser-Ney with dictionaries and exact fractions: the formula, read off, and slow."""

from collections import Counter
from fractions import Fraction

import numpy as np


class SlowKneserNey:
    """`documents` are lists of ids without the `bos` around them."""

    def __init__(self, documents, order, vocab_size, bos):
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
            is_raw = len(gram) == order or (len(gram) > 1 and gram[0] == bos)
            self.counts[gram] = n if is_raw else len(preceders[gram])
        self.discounts, self.followers = {}, {}
        for gram, n in self.counts.items():
            self.followers.setdefault(gram[:-1], {})[gram[-1]] = n
        for n in range(1, order + 1):
            ones = sum(c == 1 for g, c in self.counts.items() if len(g) == n)
            twos = sum(c == 2 for g, c in self.counts.items() if len(g) == n)
            self.discounts[n] = Fraction(ones, ones + 2 * twos) if ones else Fraction(1, 2)

    def probability(self, context, token):
        """`context` are the tokens before `token`, from the begin of the text or of what is known of it."""
        context = tuple(context)
        if self.bos in context:
            context = context[len(context) - 1 - context[::-1].index(self.bos) :]
        return self._interpolated(context[max(len(context) - self.order + 1, 0) :], token)

    def _interpolated(self, context, token):
        lower = self._interpolated(context[1:], token) if context else Fraction(1, self.vocab_size)
        following = self.followers.get(context)
        if following is None:
            return lower
        total, discount = sum(following.values()), self.discounts[len(context) + 1]
        seen = max(following.get(token, 0) - discount, 0)
        return (seen + discount * len(following) * lower) / total


def arrays(documents, bos):
    """The same documents as the model reads them."""
    return [np.array([bos, *document]) for document in documents]
