"""Whether the scorer gives a distribution: sums over all V next tokens, over next bytes, and the chain rule.

After a context c all continuations v of one token are asked for, and

    | sum over v of p(v | c) - 1 | <= 1e-5

A cache that is added without a normalizer, a mixture that is only made at the right token, and a loss that is
clipped all give more than one, since each continuation is the right token when it is asked for.

Questions about one context go to `score_groups`, where a Transformer reads it once; some of them are asked
again one by one by `score`, which makes the figures, and both must agree. Then the chain rule ties a whole
text to such questions: its score is the sum of p(t | what stands before t), each asked for itself.

Where each token is one byte, the next bytes are the next tokens: the one id of each of the 256 bytes and the
tokens without bytes (special ones, and ids of the model that the tokenizer does not know) sum to one as
well. Of longer tokens that cannot be said: a text can then be spelled in several ways, and the sum over
them is no question that a scorer answers.
"""

import math

import numpy as np
from numpy.typing import NDArray

from lmexp.evals.audit.finding import Finding, difference, judged
from lmexp.evals.audit.subject import Subject

SUM = 1e-5
"""Most by which a sum of probabilities may differ from one."""

_AGAIN = 16
"""Questions about each context that are also asked one by one."""


def check_sums(subject: Subject, num_contexts: int) -> list[Finding]:
    """Return whether next tokens and next bytes sum to one after `num_contexts` contexts."""
    rng = subject.rng("sums_to_one")
    contexts = subject.contexts(num_contexts, rng)
    worst, total, apart = 0.0, 1.0, 0.0
    worst_bytes, byte_sum = 0.0, 1.0
    counted = _counted_once(subject)
    for context in contexts:
        questions = [(context, [v]) for v in range(subject.vocab_size)]
        ((*answers,),) = subject.scorer_of(None).score_groups([questions])
        scores = np.concatenate(answers)
        if len(scores) != subject.vocab_size:
            reason = f"{len(scores)} scores came for {subject.vocab_size} questions of one token each"
            return [judged("sums_to_one", np.inf, SUM, f"{reason}, so they cannot be summed.")]
        found = np.exp(scores)
        if (misses := _off(found.sum())) > worst:
            worst, total = misses, float(found.sum())
        chosen = rng.choice(subject.vocab_size, min(_AGAIN, subject.vocab_size), replace=False)
        again = np.concatenate([subject.ask([questions[v]])[0] for v in chosen])
        apart = max(apart, difference(again, scores[chosen]))
        if counted is not None and (misses := _off(found[counted].sum())) > worst_bytes:
            worst_bytes, byte_sum = misses, float(found[counted].sum())
    sums = judged(
        "sums_to_one",
        worst,
        SUM,
        f"the probabilities of all {subject.vocab_size:,} next tokens sum to {total:.6g} after one of "
        f"{len(contexts)} contexts, so the scores are of no distribution and the figures mean nothing.",
    )
    if sums.verdict == "pass" and apart > subject.nats:
        reason = "a next token asked for alone scores otherwise than among all others, by up to"
        sums = judged("sums_to_one", apart, subject.nats, f"{reason} {apart:.3g} nats.")
    if counted is None:
        return [sums]
    said = f"the probabilities of all next bytes, and of tokens without bytes, sum to {byte_sum:.6g}."
    return [sums, judged("next_bytes", worst_bytes, SUM, said)]


def check_chain(subject: Subject) -> Finding:
    """Return whether the scores of whole pieces are those of their tokens, each asked for by itself."""
    worst = 0.0
    for piece in subject.pieces[:4]:
        (whole,) = subject.ask([((), piece)])
        begun = [subject.bos_token_id, *piece]  # what an empty context stands for
        single = subject.ask([(begun[: t + 1], [piece[t]]) for t in range(len(piece))])
        worst = max(worst, difference(whole, np.concatenate(single)))
    return judged(
        "chain_rule",
        worst,
        subject.nats,
        _apart(worst, "the scores of a text and those of its tokens, asked for one by one,"),
    )


def _off(total: float) -> float:
    """Return by how much a sum of probabilities misses one; infinity for one that is no number."""
    return math.inf if math.isnan(total) else abs(float(total) - 1)


def _apart(nats: float, what: str) -> str:
    if np.isinf(nats):
        return f"{what} are not as many, or not numbers."
    return f"{what} differ by up to {nats:.3g} nats a token."


def _counted_once(subject: Subject) -> NDArray[np.int64] | None:
    """Return the ids of which each byte has one, and those without bytes; None where some token is longer.

    A byte without an id is one that no text may hold: then these are not all next bytes, and it is None, too.
    """
    owners: dict[bytes, int] = {}
    without = list(range(len(subject.tokenizer.token_contents), subject.vocab_size))
    for i, content in enumerate(subject.tokenizer.token_contents[: subject.vocab_size]):
        if content:
            owners[content] = i
        else:
            without.append(i)
    if len(owners) != 256 or any(len(content) > 1 for content in owners):
        return None
    return np.array([*owners.values(), *without])
