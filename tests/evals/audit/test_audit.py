"""The audit passes what is honest and names each planted fraud."""

import math
import re

import numpy as np
import pytest

from lmexp.errors import DataError
from lmexp.evals.audit.audit import audit
from lmexp.evals.audit.config import CHECKS
from lmexp.evals.audit.finding import counts, difference
from lmexp.evals.perplexity import score_documents
from lmexp.scoring.estimate import Estimate

from . import frauds
from .frauds import VOCAB, Honest, subject


def clipped(scorer, documents):
    """Let no document cost more than four nats a token, after it has been scored by the rules."""
    for row in score_documents(scorer, documents, context_length=None):
        yield {**row, "nll_sum": min(row["nll_sum"], 4.0 * row["tokens"])}


def averaged_with_padding(scorer, documents):
    """Count the tokens of a padded row."""
    for row in score_documents(scorer, documents, context_length=None):
        yield {**row, "tokens": row["tokens"] + 3}


class Noisy(Honest):
    """Bounds: what is honest, plus noise of mean 0 of each draw; `take` makes one of all draws."""

    def __init__(self, batch_size=None, draws=16, take=np.mean, states_error=True):
        super().__init__(batch_size)
        self.draws, self.take = draws, take
        if states_error:
            self.estimates = self._estimates

    def noise(self, continuation):
        drawn = np.random.default_rng(list(continuation)).normal(scale=5, size=self.draws)
        return float(self.take(drawn)), float(drawn.var(ddof=1) if self.draws > 1 else 0) / self.draws

    def row(self, context, continuation):
        found = super().row(context, continuation)
        return found - self.noise(continuation)[0] / len(found) if len(found) else found

    def _estimates(self, pairs):
        noises = [self.noise(continuation) for _, continuation in pairs]
        return [Estimate(s, noise[1]) for s, noise in zip(self.score(pairs), noises, strict=True)]


def bound(**more):
    """Return what makes an audit of `Noisy`."""
    return {
        "scorer": lambda batch_size: Noisy(batch_size, **more),
        "bound": lambda draws: Noisy(draws=draws, **more),
    }


FRAUDS = {
    "a hashed cache without a normalizer": ({"scorer": frauds.HashedCache}, "sums_to_one", "next tokens sum"),
    "mixing at the right token": ({"scorer": frauds.MixedAtTheRightToken}, "sums_to_one", "next tokens sum"),
    "a peek at the next token": ({"scorer": frauds.PeekAtTheNext}, "later_tokens", "a later token is seen"),
    "a convolution over the next two": ({"scorer": frauds.Convolution}, "later_tokens", "a later token is"),
    "state that outlives a document": ({"scorer": frauds.KeptState}, "other_documents", "knows of other"),
    "a tokenizer that drops bytes": (
        {"tokenizer": frauds.DropsBytes()},
        "bytes",
        "stand for 58 bytes, and it has 64",
    ),
    "a tokenizer that counts less": (
        {"tokenizer": frauds.CountsLess()},
        "bytes",
        "stand for 61 bytes, and it",
    ),
    "bytes counted twice": ({"sizes": lambda text: 2 * len(text.encode())}, "bytes", "counts as 102"),
    "batch-dependent normalization": ({"scorer": frauds.BatchNorm}, "batches", "what shares its pass"),
    "a clipped loss": ({"scorer": frauds.Clipped}, "sums_to_one", "next tokens sum"),
    "a loss clipped when it is counted": ({"measure": clipped}, "figures", "counts with .* nats and its"),
    "a bound of the least draws": (
        bound(take=np.min),
        "bound",
        "no mean over draws",
    ),
    "a bound without an error": (
        bound(states_error=False),
        "bound",
        "state no standard error",
    ),
    "padding that is scored": ({"scorer": frauds.PaddingScored}, "figures", "what is no token is scored"),
    "padding that is counted": ({"measure": averaged_with_padding}, "figures", "40 tokens counts as 43"),
}


def test_what_is_honest_passes_every_check():
    found = audit(subject(), contexts=4)
    assert {finding.verdict for finding in found} == {"pass"}
    assert [finding.check for finding in found] == [
        name for name in CHECKS if name not in ("bound", "test_split")
    ]
    assert all(finding.figure <= finding.tolerance and not finding.reason for finding in found)


def test_an_honest_bound_passes():
    found = audit(subject(**bound()), contexts=4)
    assert [finding.check for finding in found] == ["bound", "other_documents", "batches", "figures", "bytes"]
    assert {finding.verdict for finding in found} == {"pass"}
    assert abs(found[0].figure) < 3, "single draws lie on both sides of their mean"


@pytest.mark.parametrize("name", FRAUDS)
def test_a_planted_fraud_fails_and_is_named(name):
    planted, check, said = FRAUDS[name]
    failed = {
        finding.check: finding
        for finding in audit(subject(**planted), contexts=4)
        if finding.verdict == "fail"
    }
    assert re.search(said, failed[check].reason), failed[check].reason
    assert not failed[check].figure <= failed[check].tolerance
    assert failed[check].reason.endswith(".")
    assert failed[check].reason.count(". ") == 0, "one sentence"


def test_the_sum_that_is_named_is_the_sum_over_the_whole_vocabulary():
    asked = subject(frauds.HashedCache)
    context = list(b"the cat s")
    by_hand = sum(math.exp(asked.ask([(context, [v])])[0][0]) for v in range(VOCAB))
    table, last = frauds.HashedCache.table, context[-1]
    assert by_hand == pytest.approx(1 + sum(table[(7 * last + 13 * v) % 64] for v in range(VOCAB)))
    failed = next(f for f in audit(asked, contexts=4) if f.check == "sums_to_one")
    assert failed.figure > 20


def test_the_same_questions_are_asked_again():
    one, other = (audit(subject(frauds.PeekAtTheNext), contexts=4) for _ in range(2))
    assert one == other


def test_a_scorer_that_answers_groups_otherwise_than_pairs_is_found():
    class HonestInGroups(frauds.Clipped):
        def score_groups(self, groups):
            return Honest().score_groups(groups)

    failed = {f.check: f.reason for f in audit(subject(HonestInGroups), contexts=4) if f.verdict == "fail"}
    assert "asked for alone scores otherwise" in failed["sums_to_one"]
    assert "in groups" in failed["batches"]


def test_scores_that_are_no_numbers_fail():
    class Broken(Honest):
        def row(self, context, continuation):
            return super().row(context, continuation) * math.nan

    failed = {f.check for f in audit(subject(Broken), contexts=4) if f.verdict == "fail"}
    assert failed == {
        "sums_to_one",
        "next_bytes",
        "chain_rule",
        "later_tokens",
        "other_documents",
        "batches",
        "figures",
    }


def test_infinite_losses_that_agree_are_no_difference():
    infinite = np.array([-math.inf, -1.0])
    assert difference(infinite, infinite) == 0
    assert difference(infinite, np.array([-1.0, -math.inf])) == math.inf
    assert difference(infinite, infinite[:1]) == math.inf
    assert difference(np.empty(0), np.empty(0)) == 0


def test_tokens_of_probability_0_that_are_left_out_are_found():
    class NoX(Honest):
        def logits(self, ids, continuation):
            logits = super().logits(ids, continuation)
            logits[:, ord("x")] = -math.inf
            return logits

    def hiding(scorer, documents):
        for row in score_documents(scorer, documents, context_length=None):
            nats = row["rest_nll_sum"] if "zero_tokens" in row else row["nll_sum"]
            yield {k: v for k, v in row.items() if k != "zero_tokens"} | {"nll_sum": nats}

    assert {f.verdict for f in audit(subject(NoX), contexts=4)} == {"pass"}
    failed = {
        f.check: f.reason for f in audit(subject(NoX, measure=hiding), contexts=4) if f.verdict == "fail"
    }
    assert failed == {"figures": "1 tokens have probability 0, and 0 are said to."}


def test_a_row_says_what_json_has_no_number_for_as_a_word():
    (failed,) = [f for f in audit(subject(frauds.PaddingScored), contexts=1) if f.check == "figures"]
    assert failed.row() == {
        "check": "figures",
        "about": CHECKS["figures"],
        "verdict": "fail",
        "figure": "inf",
        "tolerance": 1e-6,
        "reason": "40 scores come for a text of length 1, so what is no token is scored.",
    }
    assert counts([failed.row(), {"verdict": "pass"}]) == {"passed": 1, "failed": 1, "unknown": 0}


def test_without_a_token_there_is_nothing_to_audit(monkeypatch):
    monkeypatch.setattr(frauds, "TEXTS", [""])
    with pytest.raises(DataError, match=r"no document of the split has a token"):
        audit(subject(), contexts=1)
