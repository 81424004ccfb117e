"""The corpus stage by the command line: every kind of source in one corpus, then reused without servers."""

import bz2
import csv
import gzip
import io
import json
import lzma

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from lmexp.core.graph.stage import StageRun
from lmexp.core.store.store import HASHES, Store
from lmexp.core.values.config import build
from lmexp.corpus.config import CorpusConfig
from lmexp.errors import DataError
from lmexp.stages.corpus import CorpusArtifact, corpus
from tests.conftest import lmexp_run
from tests.corpus.sources.hub import dataset
from tests.corpus.sources.test_http import sha

SPLITS = ("train", "validation", "test")
COMPRESS = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
}
FILES = [(form, suffix) for form in ("txt", "md", "jsonl", "csv") for suffix in COMPRESS] + [("parquet", "")]


def texts(what):
    return [f"{what} number {i}\nhas a second line, with a comma." for i in range(40)]


def encoded(form, rows) -> bytes:
    if form in ("txt", "md"):
        return "\n\n".join(rows).encode()
    if form == "jsonl":
        return b"".join(json.dumps({"body": row}).encode() + b"\n" for row in rows)
    if form == "csv":
        file = io.StringIO(newline="")
        csv.writer(file).writerows([["n", "body"], *([i, row] for i, row in enumerate(rows))])
        return file.getvalue().encode()
    binary = io.BytesIO()
    pq.write_table(pa.table({"n": range(len(rows)), "body": rows}), binary)
    return binary.getvalue()


def run(out, values):
    out.mkdir()
    fractions = {"validation_fraction": 0.3, "test_fraction": 0.3}
    config = build(CorpusConfig, {**fractions, **values})
    stage_run = StageRun(out=out, work=out, cache=out, log=lambda _: None, should_stop=lambda: False)
    metrics = corpus.function(stage_run, config)
    return metrics, [d for split in SPLITS for d in CorpusArtifact(out).documents(split)]


@pytest.mark.parametrize(("form", "suffix"), FILES)
def test_local_files_of_every_format_and_compression_become_a_corpus(tmp_path, form, suffix):
    (tmp_path / f"a.{form}{suffix}").write_bytes(COMPRESS[suffix](encoded(form, texts("row"))))
    values = {"files": [str(tmp_path / "*")], "text_column": "body", "max_document_bytes": 256}
    metrics, documents = run(tmp_path / "out", values)
    assert metrics["documents"] == len(documents)
    if form in ("txt", "md"):
        in_order = sorted(documents, key=lambda d: int(d.id.rpartition(":")[2]))
        assert "".join(d.text for d in in_order) == "\n\n".join(texts("row"))
    else:
        assert sorted(d.text for d in documents) == sorted(texts("row"))
    artifact = CorpusArtifact(tmp_path / "out")
    batches = [text for s in SPLITS for batch in artifact.text_batches(s) for text in batch.to_pylist()]
    assert batches == [d.text for d in documents]


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(encoded("jsonl", texts("row")))
    config = build(CorpusConfig, {"files": [str(path)], "text_column": "body"})
    stage_run = StageRun(
        out=tmp_path,
        work=tmp_path,
        cache=tmp_path,
        log=lambda _: None,
        should_stop=lambda: False,
        content={"0:a.jsonl": "0" * 64},
    )
    remembered = tmp_path / HASHES
    remembered.write_text("{}")
    with pytest.raises(DataError, match=r"0:a\.jsonl changed while being read; give the command again"):
        corpus.function(stage_run, config)
    assert not remembered.exists()  # what was wrong may have been the memory, and must not be believed again


def test_every_kind_of_source_in_one_corpus_from_the_command_line_and_reused_without_servers(
    tmp_path, web, hub
):
    (tmp_path / "notes.csv.zst").write_bytes(COMPRESS[".zst"](encoded("csv", texts("local"))))
    download = encoded("jsonl", texts("download"))
    web.files["/rows.jsonl"] = download
    commit = "c" * 40
    hub.repositories["someone/stories"] = {commit: dataset([texts("hub")], column="body")}
    command = [
        "+experiment=tiny",
        "only=[corpus]",
        "tracking.mode=off",
        "corpus.validation_fraction=0.2",
        "corpus.test_fraction=0.2",
        "corpus.unicode=NFC",
        "+corpus.sources.a={kind:local,files:[notes.csv.zst],column:body,licence:CC0-1.0}",
        f"+corpus.sources.b={{kind:http,urls:['{web.url('/rows.jsonl')}'],sha256:[{sha(download)}],column:body}}",
        "+corpus.sources.c={kind:hub,name:someone/stories,column:body}",
        "+corpus.sources.d={kind:python_stdlib,limit:20}",
        "+corpus.sources.e={kind:known,num_documents:50,licence:none}",
        "+corpus.sources.f={kind:primer,num_documents:50}",
    ]
    store = Store(tmp_path / "store")
    done = lmexp_run(store.root, *command)
    assert done.returncode == 0, done.stderr
    (record,) = store.records("corpus")
    found = CorpusArtifact(record.path)
    documents = [d for split in SPLITS for d in found.documents(split)]
    for name, what in (("a", "local"), ("b", "download"), ("c", "hub")):
        assert sorted(d.text for d in documents if d.id.startswith(f"{name}/")) == sorted(texts(what))
    card = json.loads((record.path / "card.json").read_text())
    kinds = [source["kind"] for source in card["sources"].values()]
    assert kinds == ["local", "http", "hub", "python_stdlib", "known", "primer"]
    assert card["documents"] == len(documents)
    assert sum(source["documents"] for source in card["sources"].values()) == len(documents)
    assert card["sources"]["b"]["content"] == {f"0:{web.url('/rows.jsonl')}": sha(download)}
    assert card["sources"]["c"]["content"] == {"someone/stories": commit}
    assert card["sources"]["a"]["licence"] == "CC0-1.0"
    web.files.clear()
    hub.repositories.clear()
    asked = len(web.requests), len(hub.requests)
    again = lmexp_run(store.root, *command)
    assert again.returncode == 0, again.stderr
    assert len(store.records("corpus")) == 1
    assert (len(web.requests), len(hub.requests)) == asked
