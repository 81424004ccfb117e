"""A tokenizer of a user's own file that no tokenizer.json describes goes through every stage."""

import json
import re
from pathlib import Path

import pytest

from lmexp import cli, stages
from lmexp.core.graph.extensions import activate
from lmexp.core.values.config import build
from lmexp.corpus.config import CorpusConfig
from lmexp.errors import ConfigError, DataError, StageError
from lmexp.evals.config import PerplexityConfig
from lmexp.generation.config import SamplesConfig
from lmexp.models.families import NGramConfig
from lmexp.packing.config import PackingConfig
from lmexp.stages.tokenizer import MadeTokenizerConfig
from lmexp.tokenizer.config import TOKENIZERS
from lmexp.tokenizer.folder import load_tokenizer
from lmexp.tokenizer.tokenizer import Tokenizer

from .by_hand import Stages

PAGE = Path(__file__).resolve().parents[2] / "docs" / "add-a-tokenizer.md"


@pytest.fixture
def file(tmp_path):
    """The second kind of the page, active for one test."""
    _, block = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    path = tmp_path / "halves.py"
    path.write_text(block)
    activate([path])
    yield path
    activate([])


@pytest.fixture
def corpus(tmp_path):
    lines = [f"to be or not to be {i} times" for i in range(60)]
    (tmp_path / "text.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "stages").mkdir()
    run = Stages(tmp_path / "stages")
    config = {"files": [str(tmp_path / "text.txt")], "document": "line", "test_fraction": 0.3}
    return run, run(stages.corpus, build(CorpusConfig, config))


def test_it_goes_through_every_stage(file, corpus):
    run, text = corpus
    kind = TOKENIZERS.kinds["halves"]()
    tokenizer = run(stages.made_tokenizer, MadeTokenizerConfig(tokenizer=kind), corpus=text)
    assert run.metrics["validation/lost_bytes"] >= 0
    report = json.loads((tokenizer.path / "report.json").read_text())
    assert report["encoder"] == {"encoder": "own", "kind": "Halves"}
    made = tokenizer.load()
    assert type(made).__name__ == "Halves"
    run(stages.packing, PackingConfig(), corpus=text, tokenizer=tokenizer)
    model = run(stages.ngram, NGramConfig(order=2), corpus=text, tokenizer=tokenizer)
    run(stages.perplexity, PerplexityConfig(), model=model, tokenizer=tokenizer, corpus=text)
    assert 0 <= run.metrics["test/lost_share"] < 1
    lost = [Tokenizer.lost(made, document.text) for document in text.documents("test")]
    assert run.metrics["test/lost_bytes"] == sum(len(piece.encode()) for pairs in lost for piece, _ in pairs)
    samples = run(stages.samples, SamplesConfig(prompts=("to be",)), model=model, tokenizer=tokenizer)
    assert (samples.path / "samples.jsonl").read_text()
    assert type(load_tokenizer(model.path)).__name__ == "Halves", "the model's folder holds it, too"
    with pytest.raises(
        StageError, match=r"packing\.encoder=tiktoken cannot be used: Halves encodes by itself"
    ):
        run(stages.packing, PackingConfig(encoder="tiktoken"), corpus=text, tokenizer=tokenizer)


def test_verbs_take_it_by_its_directory(file, corpus, capsys):
    run, text = corpus
    kind = TOKENIZERS.kinds["halves"]()
    tokenizer = run(stages.made_tokenizer, MadeTokenizerConfig(tokenizer=kind), corpus=text)
    words = ["tokenize", "to be", "--tokenizer", str(tokenizer.path), "--with", str(file)]
    assert cli.main(words) == 0
    assert f"{len(tokenizer.load().encode('to be'))} tokens of 5 bytes" in capsys.readouterr().out


def test_without_its_file_it_is_named_and_not_read(file, corpus):
    run, text = corpus
    kind = TOKENIZERS.kinds["halves"]()
    tokenizer = run(stages.made_tokenizer, MadeTokenizerConfig(tokenizer=kind), corpus=text)
    activate([])
    with pytest.raises(DataError, match=r"kind 'halves', which a file halves\.py defined;.*--with FILE"):
        tokenizer.load()


def test_one_that_cannot_be_read_back_is_refused_in_a_sentence(file, tmp_path):
    cut = file.with_name("unread.py")
    cut.write_text(
        re.sub(r"\n    @classmethod\n    def read.*?\n\n\n", "\n\n\n", file.read_text(), flags=re.DOTALL)
    )
    activate([cut])
    kind = TOKENIZERS.kinds["halves"]
    with pytest.raises((DataError, ConfigError), match="defines no 'read' to read it by"):
        kind.read(tmp_path)
