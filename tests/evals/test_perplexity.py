"""Perplexity: every token once, with the context promised, and metrics that follow their formulas."""

import gzip
import lzma
import math

import numpy as np
import pytest
import torch
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from lmexp.errors import DataError
from lmexp.evals import perplexity
from lmexp.evals.compressors import compressor_bits_per_byte
from lmexp.evals.perplexity import evaluate_perplexity, windows
from lmexp.evals.scoring import BigramScorer, ModelScorer
from lmexp.models.bigram import Bigram


class Uniform:
    """Gives every token the same probability and remembers what it was asked."""

    context_length = None

    def __init__(self):
        self.asked = []

    def score(self, pairs):
        self.asked += pairs
        return [np.full(len(continuation), -math.log(16)) for _, continuation in pairs]


@given(st.integers(0, 200), st.integers(1, 40), st.data())
def test_windows_score_every_token_once_with_the_context_promised(num_tokens, context_length, data):
    stride = data.draw(st.integers(1, context_length))
    result = windows(num_tokens, context_length, stride)
    scored = [t for _, first, end in result for t in range(first, end)]
    assert scored == list(range(num_tokens))
    for i, (begin, first, end) in enumerate(result):
        if i == 0:
            assert (begin, first) == (0, 0)
            assert end == min(num_tokens, context_length)
            continue
        assert first - begin >= context_length - stride
        assert end - begin <= context_length + 1
        assert end - first == stride or end == num_tokens


@pytest.mark.parametrize("stride", [0, 9])
def test_a_stride_outside_the_context_is_a_sentence(stride):
    with pytest.raises(DataError, match=r"perplexity\.stride must be at least 1 and at most"):
        windows(10, 8, stride)


def test_uniform_predictions_give_the_figures_of_the_formulas():
    documents = [("a", [1] * 10, 20, 4), ("b", [2] * 30, 90, 5)]
    rows, metrics = evaluate_perplexity(Uniform(), documents, context_length=8, stride=4)
    assert [row["id"] for row in rows] == ["a", "b"]
    assert rows[1]["nll_sum"] == pytest.approx(30 * math.log(16))
    assert metrics["loss"] == pytest.approx(math.log(16))
    assert metrics["perplexity"] == pytest.approx(16)
    assert metrics["bits_per_byte"] == pytest.approx(40 * 4 / 110)
    assert metrics["byte_perplexity"] == pytest.approx(2 ** (40 * 4 / 110))
    assert metrics["word_perplexity"] == pytest.approx(16 ** (40 / 9))
    assert (metrics["documents"], metrics["tokens"], metrics["bytes"]) == (2, 40, 110)


def test_the_standard_error_is_that_of_resampled_documents():
    rng = np.random.default_rng(0)
    documents = [
        (str(i), [1] * int(n), int(b), 1) for i, (n, b) in enumerate(rng.integers(50, 100, (200, 2)))
    ]
    _, metrics = evaluate_perplexity(Uniform(), documents, context_length=200, stride=1)
    tokens, sizes = (np.array([f(d) for d in documents]) for f in (lambda d: len(d[1]), lambda d: d[2]))
    samples = rng.integers(0, 200, (4000, 200))
    bootstrap = np.std(4 * tokens[samples].sum(1) / sizes[samples].sum(1))
    assert metrics["bits_per_byte/stderr"] == pytest.approx(bootstrap, rel=0.05)


def test_documents_are_scored_alone_whatever_is_handed_over_together(monkeypatch):
    bigram = Bigram.fit(np.arange(100) % 7, 7)
    documents = [(str(i), [(i + j) % 7 for j in range(i + 1)], i + 1, 1) for i in range(20)]
    rows, metrics = evaluate_perplexity(BigramScorer(bigram, 0), documents, context_length=6, stride=2)
    for (_, ids, _, _), row in zip(documents, rows, strict=True):
        expected = -bigram.log_probs(np.array([0, *ids[:-1]]), np.array(ids)).sum()
        assert row["nll_sum"] == pytest.approx(expected)
    monkeypatch.setattr(perplexity, "_WINDOWS_AT_ONCE", 3)
    again, same = evaluate_perplexity(BigramScorer(bigram, 0), iter(documents), context_length=6, stride=2)
    assert same["loss"] == pytest.approx(metrics["loss"])
    assert [row["id"] for row in again] == [row["id"] for row in rows]


def test_a_document_that_fits_is_scored_as_in_one_forward_pass():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Embedding(9, 6), torch.nn.Linear(6, 9))
    ids = [3, 1, 4, 1, 5, 8]
    scorer = ModelScorer(model, 6, 2, eos_token_id=0)
    _, metrics = evaluate_perplexity(scorer, [("a", ids, 6, 1)], context_length=6, stride=3)
    with torch.no_grad():
        expected = torch.nn.functional.cross_entropy(model(torch.tensor([0, *ids[:-1]])), torch.tensor(ids))
    assert metrics["loss"] == pytest.approx(float(expected), rel=1e-6)
    assert "bits_per_byte/stderr" not in metrics


def test_nothing_to_score_is_a_sentence():
    with pytest.raises(DataError, match="nothing to score: 0 documents"):
        evaluate_perplexity(Uniform(), [], context_length=8, stride=4)
    with pytest.raises(DataError, match="nothing to compress"):
        compressor_bits_per_byte([""])


def test_compressors_write_files_that_their_own_readers_expand():
    texts = ["def f(x):\n    return x\n" * 40, "é" * 100]
    data = "".join(texts).encode()
    figures = compressor_bits_per_byte(iter(texts))
    files = {
        "gzip": gzip.compress(data, 9, mtime=0),
        "xz": lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
        "zstd": zstandard.compress(data, 19),
    }
    for name, file in files.items():
        assert figures[f"{name}_bits_per_byte"] == 8 * len(file) / len(data)
