"""Perplexity: every token once, with the context promised, and metrics that follow their formulas."""

import gzip
import itertools
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
from lmexp.evals.perplexity import evaluate_perplexity, perplexity_metrics, score_documents, windows
from lmexp.models.families import GPTConfig
from lmexp.models.families.qwen3.network import GPT
from lmexp.models.folder import load_model, save_network
from lmexp.scoring.pairs import PairScorer
from lmexp.scoring.scorer import scorer_of


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
        assert stride < context_length or begin == first - 1  # each token is read once


@pytest.mark.parametrize("stride", [0, 9])
def test_a_stride_outside_the_context_is_a_sentence(stride):
    with pytest.raises(DataError, match=r"perplexity\.stride must be at least 1 and at most"):
        windows(10, 8, stride)


def test_uniform_predictions_give_the_figures_of_the_formulas():
    documents = [("a", [1] * 10, 20, 4), ("b", [2] * 30, 90, 5)]
    rows, metrics = evaluate_perplexity(Uniform(), documents, context_length=8, stride=4)
    assert [row["id"] for row in rows] == ["a", "b"]
    assert rows[1]["nll_sum"] == pytest.approx(30 * math.log(16))
    assert rows[1]["bits_per_byte"] == pytest.approx(30 * 4 / 90)
    assert metrics["loss"] == pytest.approx(math.log(16))
    assert metrics["perplexity"] == pytest.approx(16)
    assert metrics["bits_per_byte"] == pytest.approx(40 * 4 / 110)
    assert metrics["byte_perplexity"] == pytest.approx(2 ** (40 * 4 / 110))
    assert metrics["word_perplexity"] == pytest.approx(16 ** (40 / 9))
    assert [metrics[name] for name in ("documents", "tokens", "bytes", "words")] == [2, 40, 110, 9]


class Zeros(Uniform):
    """Gives the token 3 no probability, all others 1 / 16."""

    def score(self, pairs):
        return [np.where(np.array(ids) == 3, -np.inf, -math.log(16)) for _, ids in pairs]


def test_tokens_of_probability_zero_are_counted_and_nothing_infinite_is_hidden_in_a_figure():
    documents = [("a", [1, 3, 1, 3, 3], 5, 1), ("b", [2] * 4, 8, 2), ("c", [3], 1, 1)]
    rows, metrics = evaluate_perplexity(Zeros(), documents, context_length=2, stride=2)
    assert [row.get("zero_tokens") for row in rows] == [3, None, 1]
    assert [row["nll_sum"] for row in rows] == [None, pytest.approx(4 * math.log(16)), None]
    assert [row.get("rest_nll_sum") for row in rows] == [pytest.approx(2 * math.log(16)), None, 0]
    assert rows[0]["bits_per_byte"] is rows[0]["perplexity"] is None
    assert metrics == {
        "zero_tokens": 4,
        "rest_loss": pytest.approx(math.log(16)),
        "documents": 3,
        "tokens": 10,
        "bytes": 14,
        "words": 4,
    }
    assert perplexity_metrics(rows[2:]) == {
        "zero_tokens": 1,
        "documents": 1,
        "tokens": 1,
        "bytes": 1,
        "words": 1,
    }


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


def nats(before, token):
    """What a token costs after another one."""
    return 1 + (before * 3 + token) % 7 / 7


class Pairs(PairScorer):
    """Sees one token back."""

    def score(self, pairs):
        texts = [[*(context or [0]), *continuation] for context, continuation in pairs]
        return [
            -np.array([nats(v, w) for v, w in itertools.pairwise(text[-len(continuation) - 1 :])])
            for text, (_, continuation) in zip(texts, pairs, strict=True)
        ]


def test_documents_are_scored_alone_whatever_is_handed_over_together(monkeypatch):
    documents = [(str(i), [(i + j) % 7 for j in range(i + 1)], i + 1, 1) for i in range(20)]
    rows, metrics = evaluate_perplexity(Pairs(), documents, context_length=6, stride=2)
    for (_, ids, _, _), row in zip(documents, rows, strict=True):
        expected = sum(nats(v, w) for v, w in itertools.pairwise([0, *ids]))
        assert row["nll_sum"] == pytest.approx(expected)
    monkeypatch.setattr(perplexity, "_WINDOWS_AT_ONCE", 3)
    again, same = evaluate_perplexity(Pairs(), iter(documents), context_length=6, stride=2)
    assert same["loss"] == pytest.approx(metrics["loss"])
    assert [row["id"] for row in again] == [row["id"] for row in rows]


def test_a_document_that_fits_is_scored_as_in_one_forward_pass():
    torch.manual_seed(0)
    model = GPT(GPTConfig(context_length=6, num_layers=1, num_heads=2, num_kv_heads=1, d_model=8), 9)
    torch.nn.init.normal_(model.model.embed_tokens.weight)
    ids = [3, 1, 4, 1, 5, 8]
    scorer = scorer_of(model, batch_size=2, bos_token_id=0)
    _, metrics = evaluate_perplexity(scorer, [("a", ids, 6, 1)], context_length=6, stride=3)
    with torch.no_grad():
        expected = torch.nn.functional.cross_entropy(
            model(torch.tensor([[0, *ids[:-1]]]))[0], torch.tensor(ids)
        )
    assert metrics["loss"] == pytest.approx(float(expected), rel=1e-6)
    assert "bits_per_byte/stderr" not in metrics


def test_nothing_to_score_is_a_sentence():
    with pytest.raises(DataError, match="nothing to score: 0 documents"):
        evaluate_perplexity(Uniform(), [], context_length=8, stride=4)
    with pytest.raises(DataError, match="nothing to compress"):
        compressor_bits_per_byte([""], 0)


def test_compressors_write_files_that_their_own_readers_expand():
    texts = ["def f(x):\n    return x\n" * 40, "é" * 100]
    data = "".join(texts).encode()
    figures = compressor_bits_per_byte(iter(texts), len(data))
    files = {
        "gzip": gzip.compress(data, 9, mtime=0),
        "xz": lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
        "zstd": zstandard.compress(data, 19),
    }
    for name, file in files.items():
        assert figures[f"{name}_bits_per_byte"] == 8 * len(file) / len(data)


def test_a_compressor_gives_the_same_size_however_the_text_is_cut():
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("etaoinshrdlu \n"), 6)) for _ in range(300)]
    text = "".join(rng.choice(words, 60_000))
    cut = [text[i : i + 777] for i in range(0, len(text), 777)]
    assert compressor_bits_per_byte(cut, len(text)) == compressor_bits_per_byte([text], len(text))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), min_size=1, max_size=12), st.integers(1, 7))
def test_rows_stream_in_order_while_a_bounded_number_of_windows_waits(sizes, at_once):
    asked = []

    class Counting(Uniform):
        def score(self, pairs):
            asked.append(len(pairs))
            return super().score(pairs)

    documents = [(str(i), [1] * tokens, tokens, words) for i, (tokens, words) in enumerate(sizes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(perplexity, "_WINDOWS_AT_ONCE", at_once)
        rows = list(score_documents(Counting(), iter(documents), context_length=4, stride=2))
    assert max(asked, default=0) <= at_once
    assert [row["id"] for row in rows] == [document[0] for document in documents]
    for row, (tokens, words) in zip(rows, sizes, strict=True):
        assert row["nll_sum"] == pytest.approx(tokens * math.log(16))
        assert row["perplexity"] == (pytest.approx(16) if tokens else None)
        assert row["byte_perplexity"] == (pytest.approx(16) if tokens else None)
        assert row["word_perplexity"] == (pytest.approx(16 ** (tokens / words)) if words else None)


def test_documents_are_read_as_they_are_scored(monkeypatch):
    monkeypatch.setattr(perplexity, "_WINDOWS_AT_ONCE", 3)
    read = []

    def documents():
        for i in range(100):
            read.append(i)
            yield str(i), [1] * 4, 4, 1

    rows = score_documents(Uniform(), documents(), context_length=4, stride=2)
    assert next(rows)["id"] == "0"
    assert len(read) < 10


def test_the_regret_is_paired_by_document():
    rng = np.random.default_rng(0)
    true, extra = rng.uniform(50, 150, 400), rng.uniform(0.5, 1.5, 400)
    rows = [
        {"nll_sum": t + e, "true_nll_sum": t, "tokens": 40, "bytes": 100, "words": 4}
        for t, e in zip(true, extra, strict=True)
    ]
    metrics = perplexity_metrics(iter(rows))
    bits = 100 * math.log(2)
    assert metrics["true_bits_per_byte"] == pytest.approx(true.mean() / bits)
    assert metrics["true_bits_per_byte/stderr"] == pytest.approx(true.std(ddof=1) / 20 / bits)
    assert metrics["regret_bits_per_byte"] == pytest.approx(extra.mean() / bits)
    assert metrics["regret_bits_per_byte/stderr"] == pytest.approx(extra.std(ddof=1) / 20 / bits)
    assert metrics["bits_per_byte"] == pytest.approx((true + extra).mean() / bits)
    assert metrics["loss/stderr"] == pytest.approx((true + extra).std(ddof=1) / 20 / 40)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A small model as our folder, and the same weights as transformers loads them."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("model")
    config = GPTConfig(context_length=12, num_layers=2, num_heads=2, num_kv_heads=1, d_model=16, init_std=1.0)
    save_network(GPT(config, 31, seed=0), folder, eos_token_id=0)
    return load_model(folder), transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


@pytest.mark.parametrize(("context_length", "stride"), [(12, 6), (12, 1), (12, 12), (7, 3), (7, 7)])
def test_the_strided_loop_of_transformers_gives_the_same_sum(exported, context_length, stride):
    ours, theirs = exported
    rest = 3 if stride == context_length else 0  # with an overlap, our last window reaches further back
    ids = np.random.default_rng(1).integers(1, 31, context_length + 4 * stride + rest).tolist()
    scorer = scorer_of(ours, context_length=context_length, batch_size=4, bos_token_id=0)
    rows, _ = evaluate_perplexity(
        scorer, [("a", ids, len(ids), 1)], context_length=context_length, stride=stride
    )

    # The loop of transformers' guide "Perplexity of fixed-length models": a window holds the tokens read
    # and the last target, and labels of -100 leave out what an earlier window scored.
    sequence = torch.tensor([[0, *ids]])
    nats, before, num_scored, most_read = 0.0, 1, 0, {}
    for begin in range(0, len(ids), stride):
        end = min(begin + context_length + 1, len(ids) + 1)
        window = sequence[:, begin:end]
        labels = window.clone()
        labels[:, : before - begin] = -100
        for position in range(begin, end - 1):
            most_read[position] = most_read.get(position, 0) + 1
        with torch.no_grad():
            nats += theirs(window, labels=labels).loss.item() * (end - before)
        num_scored += end - before
        before = end
        if end == len(ids) + 1:
            break
    assert num_scored == len(ids)
    assert rows[0]["nll_sum"] == pytest.approx(nats, rel=1e-5)
    if stride == context_length:
        assert set(most_read.values()) == {1}  # no token is read twice
