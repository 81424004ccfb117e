"""What made a model, through the engine: a stage of the user's own that reads the test split is named."""

import json
import shutil
from pathlib import Path

import pytest

from lmexp.core.values.sealed import read_sealed, write_sealed
from lmexp.evals.audit.contamination import Lineage, Reading, check_test_split
from lmexp.evals.audit.lineage import lineage_of
from lmexp.experiments import run_experiment

PIPELINE = '''
import shutil

from lmexp import stages
from lmexp.core.graph.stage import Handle, Metrics, StageRun, stage
from lmexp.core.values.config import Config, option
from lmexp.core.values.settings import RunConfig
from lmexp.corpus.config import CorpusConfig
from lmexp.evals.audit.config import AuditConfig
from lmexp.models.families import NGramConfig
from lmexp.stages import CorpusArtifact, ModelArtifact
from lmexp.tokenizer.config import TOKENIZERS, TokenizerConfig


class TemperatureConfig(Config):
    split: str = option(default="validation")


@stage("temperature", produces=ModelArtifact)
def temperature(
    run: StageRun, config: TemperatureConfig, *, model: ModelArtifact, corpus: CorpusArtifact
) -> Metrics:
    """Fit a temperature, of which it keeps how long the texts are that it was fitted on."""
    shutil.copytree(model.path, run.out, dirs_exist_ok=True)
    (run.out / "artifact.json").unlink()
    if config.split == "files":
        return {"bytes": sum(file.stat().st_size for file in corpus.path.glob("test*"))}
    return {"characters": sum(len(document.text) for document in corpus.documents(config.split))}


class Experiment(RunConfig):
    corpus: CorpusConfig = option(default=CorpusConfig())
    tokenizer: TokenizerConfig = option(default=TOKENIZERS.default(), one_of=TOKENIZERS)
    temperature: TemperatureConfig = option(default=TemperatureConfig())
    audit: AuditConfig = option(default=AuditConfig())


def pipeline(config: Experiment) -> dict[str, Handle]:
    corpus = stages.corpus(config.corpus)
    tokenizer = stages.tokenizer_of(config.tokenizer, corpus=corpus)
    counted = stages.ngram(NGramConfig(order=2), corpus=corpus, tokenizer=tokenizer)
    model = temperature(config.temperature, model=counted, corpus=corpus)
    audit = stages.audit(config.audit, model=model, tokenizer=tokenizer, corpus=corpus)
    return {"corpus": corpus, "tokenizer": tokenizer, "ngram": counted, "temperature": model, "audit": audit}
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("lineage")
    (path / "conf").mkdir()
    (path / "fitted.py").write_text(PIPELINE)
    config = f"defaults: [engine, _self_]\npipeline: {path / 'fitted.py'}\n"
    (path / "conf" / "fitted.yaml").write_text(config)
    rows = [{"text": f"The document with the number {i} is one of {i * i}."} for i in range(60)]
    (path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def audited(folder, split):
    """Return the run, and the row of the check, where a temperature is fitted on `split`."""
    words = [
        f"store={folder / 'store'}",
        f"+corpus.files=[{folder / 'rows.jsonl'}]",
        "+corpus.test_fraction=0.3",
        "+tokenizer.kind=byte",
        f"+temperature.split={split}",
        "tracking.mode=off",
    ]
    run = run_experiment(words, config_name="fitted", config_dir=str(folder / "conf"), quiet=True)
    rows = [json.loads(line) for line in (run.artifact("audit") / "audit.jsonl").read_text().splitlines()]
    assert {row["check"] for row in rows if row["verdict"] == "pass"} >= {
        "sums_to_one",
        "next_bytes",
        "bytes",
    }
    return run, rows[-1]


def test_a_temperature_that_is_fitted_on_the_test_split_is_named(folder):
    run, row = audited(folder, "test")
    n = int(run.metrics["corpus/test/documents"])
    assert (row["check"], row["verdict"], row["figure"]) == ("test_split", "fail", n)
    expected = f"{n} of {n} documents of the test split were read by temperature (the test split of rows-"
    assert row["reason"].startswith(expected)
    assert run.metrics["audit/failed"] == 1


def test_one_that_is_fitted_on_the_validation_split_passes(folder):
    run, row = audited(folder, "validation")
    assert (row["verdict"], row["figure"]) == ("pass", 0.0)
    readings = lineage_of(run.artifact("temperature")).readings
    assert [reading.who.split(" of ")[0] for reading in readings] == [
        "ngram and made_tokenizer (the train split",
        "made_tokenizer and temperature (the validation split",
    ]
    texts = {text for reading in readings for text in reading.texts}
    assert len(texts) == run.metrics["corpus/train/documents"] + run.metrics["corpus/validation/documents"]


def test_one_that_goes_past_the_splits_is_unknown(folder):
    _, row = audited(folder, "files")
    assert row["verdict"] == "unknown"
    assert "temperature takes a corpus and does not say what it read of it" in row["reason"]


def test_what_has_no_record_or_an_old_one_is_unknown(folder, tmp_path):
    run, _ = audited(folder, "validation")
    root = tmp_path / "store"
    shutil.copytree(folder / "store", root)
    model = root / run.artifact("temperature").relative_to(folder / "store")
    assert lineage_of(model).unknown == []
    record = read_sealed(model / "artifact.json")
    write_sealed(model / "artifact.json", {k: v for k, v in record.items() if k != "read"})
    assert lineage_of(model).unknown == [f"the record of {model.name} does not say what it read"]
    corpus = root / record["inputs"]["corpus"]["path"]
    (corpus / "artifact.json").unlink()
    assert f"{corpus.name} has no record" in lineage_of(model).unknown
    assert lineage_of(tmp_path / "elsewhere").unknown == ["elsewhere has no record"]


def test_documents_are_compared_by_their_texts():
    lineage = Lineage(
        readings=[Reading(who="a stage", corpus=Path("corpus"), texts=["a", "b", "c"])], unknown=[]
    )
    found = check_test_split(lineage, "test", ["c", "d", "b", "d"])
    assert (found.verdict, found.figure) == ("fail", 2.0)
    assert found.reason == "2 of 3 documents of the test split were read by a stage."
    assert check_test_split(lineage, "test", ["d"]).verdict == "pass"
    unknown = Lineage(readings=lineage.readings, unknown=["x has no record"])
    assert (
        check_test_split(unknown, "test", ["d"]).reason
        == "what made the model is not all known: x has no record."
    )
    assert check_test_split(unknown, "test", ["a"]).verdict == "fail"
