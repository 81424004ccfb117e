"""The true model as a scorer: the probability of the text, token by token, whatever the tokenizer."""

from itertools import islice

import numpy as np
import pytest

from lmexp.errors import DataError
from lmexp.evals.perplexity import evaluate_perplexity
from lmexp.known.build import build_process, draw_texts
from lmexp.known.config import ProcessConfig
from lmexp.known.process import entropy_bits_per_byte, log_probs
from lmexp.scoring.truth import TrueScorer
from lmexp.tokenizer.config import ByteBPEConfig

PROCESSES = {
    "markov": ProcessConfig(process="markov", num_symbols=6, order=2, line_length=9),
    "hidden_markov": ProcessConfig(process="hidden_markov", num_symbols=4, num_states=3, line_length=9),
    "grammar": ProcessConfig(process="grammar", num_symbols=5, num_states=3, line_length=9),
}


@pytest.fixture(params=[257, 400], ids=["bytes", "merges"])
def tokenizer(request):
    texts = (text for config in PROCESSES.values() for text in islice(draw_texts(config, 16), 20))
    return ByteBPEConfig(vocab_size=request.param).make(texts)


@pytest.mark.parametrize("process", PROCESSES)
def test_the_cross_entropy_of_the_true_model_is_the_exact_entropy_within_its_interval(process, tokenizer):
    config = PROCESSES[process]
    texts = list(islice(draw_texts(config, 16), 250))
    documents = [(str(i), tokenizer.encode(t), len(t), len(t.split())) for i, t in enumerate(texts)]
    truth = build_process(config)
    rows, metrics = evaluate_perplexity(TrueScorer(truth, tokenizer), documents, context_length=None)
    for text, row in zip(texts, rows, strict=True):
        assert row["nll_sum"] == pytest.approx(-log_probs(truth, text).sum())
    entropy, error = entropy_bits_per_byte(truth), metrics["bits_per_byte/stderr"]
    assert error < 0.015 * entropy
    assert abs(metrics["bits_per_byte"] - entropy) < 2 * error
    if tokenizer.vocab_size > 300:
        assert metrics["tokens"] < 0.7 * metrics["bytes"]


def test_a_tokens_figure_is_that_of_its_characters_after_the_context(tokenizer):
    truth = build_process(PROCESSES["markov"])
    text = next(draw_texts(PROCESSES["markov"], 3))
    ids = tokenizer.encode(text)
    scorer = TrueScorer(truth, tokenizer)
    whole, tail, nothing = scorer.score([((), ids), (ids[:4], ids[4:]), (ids, ())])
    np.testing.assert_allclose(tail, whole[4:])
    assert len(nothing) == 0
    each, begin = log_probs(truth, text), 0
    for token, score in zip(ids, whole, strict=True):
        end = begin + len(tokenizer.decode([token]))
        assert score == pytest.approx(each[begin:end].sum())
        begin = end


def test_a_text_of_another_source_is_a_sentence(tokenizer):
    scorer = TrueScorer(build_process(PROCESSES["markov"]), tokenizer)
    with pytest.raises(DataError, match="not of this `known` source"):
        scorer.score([((), tokenizer.encode("Words!"))])
