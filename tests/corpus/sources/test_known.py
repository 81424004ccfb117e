"""The `known` source: documents as drawn, the exact entropy on the card, and the source read back from it."""

import json
import math

import pytest

from lmexp.core.values.config import build
from lmexp.core.values.files import FileHasher
from lmexp.corpus.build import build_corpus
from lmexp.corpus.config import SPLITS, CorpusConfig, KnownSource
from lmexp.corpus.shards import iter_documents
from lmexp.corpus.sources.known import only_known_source
from lmexp.corpus.sources.sources import content_hashes
from lmexp.errors import ConfigError, DataError
from lmexp.known.build import build_process
from lmexp.known.process import entropy_bits_per_byte, log_probs


def known(**options):
    values = {"num_symbols": 4, "line_length": 6, "num_documents": 60, "num_lines": 15} | options
    return {"truth": {"kind": "known", **values}}


def make(sources, out, **options):
    out.mkdir()
    config = build(
        CorpusConfig, {"sources": sources, "validation_fraction": 0.2, "test_fraction": 0.2, **options}
    )
    return build_corpus(config, out, cache=out, content=content_hashes(config, FileHasher()))


@pytest.mark.parametrize("process", ["markov", "hidden_markov", "grammar"])
def test_the_card_tells_the_source_and_its_exact_entropy(process, tmp_path):
    metrics = make(known(process=process, seed=3), tmp_path / "out")
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    source = only_known_source(card)
    options = {key: value for key, value in known(process=process, seed=3)["truth"].items() if key != "kind"}
    assert source == build(KnownSource, options)
    entropy = entropy_bits_per_byte(build_process(source))
    assert metrics["truth/entropy_bits_per_byte"] == entropy
    assert card["sources"]["truth"]["entropy_bits_per_byte"] == entropy
    assert metrics["documents"] == 60
    texts = [d.text for split in SPLITS for d in iter_documents(tmp_path / "out", split)]
    assert {text.count("\n") for text in texts} == {15}
    bits = -sum(log_probs(build_process(source), text).sum() for text in texts) / math.log(2)
    assert bits / sum(map(len, texts)) == pytest.approx(entropy, rel=0.1)


def test_a_corpus_with_anything_else_in_it_has_no_known_entropy(tmp_path):
    (tmp_path / "own.txt").write_text("words of one's own\n\nand more\n")
    local = {"own": {"kind": "local", "files": [str(tmp_path / "own.txt")]}}
    metrics = make(known() | local, tmp_path / "out")
    assert only_known_source(json.loads((tmp_path / "out" / "card.json").read_text())) is None
    assert metrics["truth/entropy_bits_per_byte"] > 0


def test_a_corpus_from_which_a_filter_dropped_documents_has_no_known_entropy(tmp_path):
    sources = known(process="grammar")
    make(sources, tmp_path / "whole")
    make(sources, tmp_path / "left", filters={"min_bytes": 100})
    whole, left = (json.loads((tmp_path / name / "card.json").read_text()) for name in ("whole", "left"))
    assert only_known_source(whole) is not None
    assert 0 < left["documents"] < whole["documents"]
    assert only_known_source(left) is None


def test_a_document_drawn_twice_is_a_sentence(tmp_path):
    with pytest.raises(
        DataError, match=r"drew a document twice after \d+ documents.*raise num_lines \(now 1\)"
    ):
        make(known(num_lines=1, line_length=2), tmp_path / "out")


def test_a_process_that_cannot_be_is_a_sentence_with_its_key():
    sources = known(process="hidden_markov", num_symbols=20)
    with pytest.raises(ConfigError, match=r"sources\.truth\.line_length must be at most"):
        build(CorpusConfig, {"sources": sources})
