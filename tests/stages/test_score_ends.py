"""Penn Treebank's protocol: one sentence a line, a closed vocabulary, ends scored and beginnings never."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lmexp import load_model, load_tokenizer, read_arpa, stages, write_arpa
from lmexp.core.values.config import build
from lmexp.corpus.config import CorpusConfig
from lmexp.errors import ConfigError, DataError
from lmexp.evals.config import PerplexityConfig
from lmexp.models.build import build_model
from lmexp.models.families import LSTMConfig, NGramConfig
from lmexp.stages.corpus import CorpusArtifact
from lmexp.stages.model_artifact import ModelArtifact
from lmexp.stages.tokenizer import MadeTokenizerConfig, TokenizerArtifact
from lmexp.tokenizer.config import WordConfig
from tests.models.families.ngram.slow import SlowModifiedKneserNey
from tests.stages.test_packing import run_in

TRAIN = [
    "the <unk> of the market fell N %",
    "the market fell",
    "shares of the <unk> rose",
    "the market fell",
    "<unk> said the shares rose N %",
    "no it was n't black monday",
    "the shares of <unk> fell",
]
TEST = ["the market rose N %", "<unk> fell", "the market rose N %", "it was the shares"]


@pytest.fixture(scope="module")
def treebank(tmp_path_factory):
    """Files as they are distributed: a space at both ends of each line; equal sentences stay."""
    folder = tmp_path_factory.mktemp("treebank")
    sources = {}
    for split, lines in (("train", TRAIN), ("validation", TEST[:1]), ("test", TEST)):
        (folder / f"{split}.txt").write_text("".join(f" {line} \n" for line in lines))
        sources[split] = {"kind": "local", "files": [str(folder / f"{split}.txt")], "into": split}
    config = build(CorpusConfig, {"sources": sources, "document": "line", "deduplicate": False})
    stages.corpus.function(run_in(folder / "corpus"), config)
    corpus = CorpusArtifact(folder / "corpus")
    words = MadeTokenizerConfig(tokenizer=WordConfig())
    stages.made_tokenizer.function(run_in(folder / "tokenizer"), words, corpus=corpus)
    inputs = {"corpus": corpus, "tokenizer": TokenizerArtifact(folder / "tokenizer")}
    config = NGramConfig(order=3, smoothing="modified_kneser_ney")
    stages.ngram.function(run_in(folder / "ngram"), config, **inputs)
    return {"model": ModelArtifact(folder / "ngram"), **inputs}


def measured(treebank, out, **settings):
    config = build(PerplexityConfig, {"splits": ["test"], **settings})
    return stages.perplexity.function(run_in(out), config, **treebank)


def oracle():
    """Exact fractions over the words of the training text, `<unk>` among them, and the end."""
    words = {word: i for i, word in enumerate(sorted({w for line in TRAIN for w in line.split()}), start=1)}
    train, test = ([[words[w] for w in line.split()] for line in lines] for lines in (TRAIN, TEST))
    slow = SlowModifiedKneserNey(train, 3, len(words) + 1, 0)
    for sentence in test:
        text = [0, *sentence, 0]
        yield [-math.log(slow.probability(text[:i], text[i])) for i in range(1, len(text))]


def test_the_perplexity_is_over_words_and_ends_as_published_ones_are(treebank, tmp_path):
    nats = [nat for sentence in oracle() for nat in sentence]
    found = measured(treebank, tmp_path / "out", score_ends=True)
    assert found["score_ends"] == 1
    assert found["test/tokens"] == len(nats) == 16 + 4
    assert found["test/perplexity"] == pytest.approx(math.exp(sum(nats) / len(nats)), rel=1e-12)
    assert found["test/words"] == 16
    rows = [json.loads(line) for line in (tmp_path / "out" / "test.jsonl").read_text().splitlines()]
    assert sorted(row["nll_sum"] for row in rows) == pytest.approx(sorted(sum(s) for s in oracle()))


def test_without_it_the_words_alone_are_scored(treebank, tmp_path):
    nats = [nat for sentence in oracle() for nat in sentence[:-1]]
    found = measured(treebank, tmp_path / "out")
    assert found["test/tokens"] == 16
    assert "score_ends" not in found
    assert found["test/loss"] == pytest.approx(sum(nats) / len(nats), rel=1e-12)


@pytest.mark.parametrize("family", ["lstm", "ngram"])
def test_documents_can_be_one_text_which_a_model_reads_in_one_pass(treebank, tmp_path, family):
    encoder = treebank["tokenizer"].load()
    end = encoder.bos_token_id
    text = [end] + [i for line in TEST for i in (*encoder.encode(line), end)]
    if family == "lstm":
        model = build_model(LSTMConfig(num_layers=1, d_model=8, init_std=1.0), encoder.vocab_size, seed=1)
        with torch.no_grad():
            logits = model(torch.tensor([text[:-1]]))[0]
        nats = torch.nn.functional.cross_entropy(logits, torch.tensor(text[1:]), reduction="none").numpy()
        treebank = treebank | {"model": SimpleNamespace(load=lambda: model)}
    else:
        nats = -treebank["model"].load().score([((), text[1:])], end)[0]
    found = measured(treebank, tmp_path / "out", score_ends=True, as_one_text=True)
    assert (found["as_one_text"], found["test/tokens"], found["test/documents"]) == (1, 20, 4)
    assert found["test/loss"] == pytest.approx(float(nats.mean()), rel=1e-6)
    rows = [json.loads(line) for line in (tmp_path / "out" / "test.jsonl").read_text().splitlines()]
    ends = np.cumsum([len(line.split()) + 1 for line in TEST])
    expected = [float(part.sum()) for part in np.split(nats, ends[:-1])]
    assert [row["nll_sum"] for row in rows] == pytest.approx(expected, rel=1e-6)
    apart = measured(treebank, tmp_path / "apart", score_ends=True)
    same = apart["test/loss"] == pytest.approx(found["test/loss"], rel=1e-9)
    assert same == (family == "ngram"), "no n-gram reaches over the end of a text; an LSTM's state does"


def test_one_text_needs_its_ends():
    with pytest.raises(
        ConfigError, match="as_one_text reads over the ends of documents; set score_ends=true"
    ):
        PerplexityConfig(as_one_text=True)


def test_windows_score_the_end_once(treebank, tmp_path):
    found = measured(treebank, tmp_path / "out", score_ends=True, context_length=2, stride=1)
    assert found["test/tokens"] == 20


def test_its_arpa_file_has_the_words_and_gives_the_same_perplexity(treebank, tmp_path):
    path = treebank["model"].path
    model, tokenizer = load_model(path), load_tokenizer(path)
    write_arpa(model, tokenizer, tmp_path / "a.arpa.gz")
    again = read_arpa(tmp_path / "a.arpa.gz")
    assert {"market", "<unk>", "n't"} < set(again.words)
    ids = {word: i for i, word in enumerate(again.words)}
    texts = [((), [*(ids[word] for word in line.split()), again.bos_token_id]) for line in TEST]
    nats = -sum(float(scores.sum()) for scores in again.score(texts, again.bos_token_id))
    assert nats == pytest.approx(sum(sum(sentence) for sentence in oracle()), rel=1e-7)


def test_a_model_that_is_no_n_gram_has_no_arpa_file(treebank, tmp_path):
    from lmexp.models.build import build_model
    from lmexp.models.families import GRUConfig

    tokenizer = treebank["tokenizer"].load()
    with pytest.raises(DataError, match="this model is of the family gru; give an n-gram"):
        write_arpa(build_model(GRUConfig(), tokenizer.vocab_size), tokenizer, tmp_path / "a")


def test_text_of_known_entropy_has_no_ends_to_score(tmp_path, treebank):
    config = build(CorpusConfig, {"sources": {"known": {"kind": "known", "num_documents": 40}}})
    stages.corpus.function(run_in(tmp_path / "corpus"), config)
    known = treebank | {"corpus": CorpusArtifact(tmp_path / "corpus")}
    with pytest.raises(DataError, match="score_ends is not for text of known entropy"):
        measured(known, tmp_path / "out", score_ends=True)
