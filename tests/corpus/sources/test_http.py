"""Files and archives from a web server, through the corpus stage."""

import dataclasses
import gzip
import hashlib
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmexp.core.graph.stage import StageRun
from lmexp.core.values.config import build, identity
from lmexp.corpus.config import CorpusConfig
from lmexp.errors import ConfigError, DataError
from lmexp.stages.corpus import CorpusArtifact, corpus
from tests.corpus.sources.test_archives import make

ROWS = [f"web document {i}" for i in range(60)]
JSONL = b"".join(json.dumps({"body": text}).encode() + b"\n" for text in ROWS)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"body": ROWS}), file)
    return file.getvalue()


def config(web, files, **options):
    web.files = {f"/{name}": data for name, data in files.items()}
    source = {
        "kind": "http",
        "urls": [web.url(f"/{name}") for name in files],
        "sha256": [sha(data) for data in files.values()],
        "column": "body",
        "retries": 0,
        **options,
    }
    fractions = {"validation_fraction": 0.3, "test_fraction": 0.3}
    return build(CorpusConfig, {"sources": {"web": source}, **fractions})


def run(tmp_path, built) -> dict[str, str]:
    """Run the stage as the executor does and return the documents by id."""
    out = tmp_path / "out"
    out.mkdir(parents=True)
    content = corpus.content(built, None)
    cache = tmp_path / "cache"
    stage_run = StageRun(
        out=out, work=out, cache=cache, log=lambda _: None, should_stop=lambda: False, content=content
    )
    corpus.function(stage_run, built)
    artifact = CorpusArtifact(out)
    return {d.id: d.text for split in ("train", "validation", "test") for d in artifact.documents(split)}


@pytest.mark.parametrize(
    ("name", "data", "prefix"),
    [
        ("rows.jsonl", JSONL, "rows.jsonl:"),
        ("rows.jsonl.gz", gzip.compress(JSONL), "rows.jsonl.gz:"),
        (
            "rows.tar.gz",
            make(".tar.gz", {"d/rows.jsonl": JSONL, "README": b"no"}),
            "rows.tar.gz/d/rows.jsonl:",
        ),
        ("rows.zip", make(".zip", {"rows.jsonl.gz": gzip.compress(JSONL)}), "rows.zip/rows.jsonl.gz:"),
    ],
)
def test_rows_of_a_file_or_of_a_member_of_an_archive_become_documents(web, tmp_path, name, data, prefix):
    found = run(tmp_path, config(web, {name: data}))
    assert found == {f"{prefix}{i}": text for i, text in enumerate(ROWS, 1)}
    card = json.loads((tmp_path / "out" / "card.json").read_text())["sources"]["web"]
    assert card["content"] == {f"0:{web.url(f'/{name}')}": sha(data)}
    assert (card["kind"], card["documents"]) == ("http", 60)


@pytest.mark.parametrize("name", ["rows.parquet", "rows.tar", "rows.zip"])
def test_parquet_is_read_from_a_download_and_from_an_archive(web, tmp_path, name):
    suffix = name.removeprefix("rows")
    data = parquet() if suffix == ".parquet" else make(suffix, {"rows.parquet": parquet()})
    assert sorted(run(tmp_path, config(web, {name: data})).values()) == sorted(ROWS)
    assert [path.name for path in (tmp_path / "cache" / "downloads").iterdir()] == [sha(data)]


def test_members_and_a_format_choose_what_an_archive_gives(web, tmp_path):
    archive = make(
        ".zip", {"w/wiki.train.tokens": b"\n".join(r.encode() for r in ROWS), "w/wiki.test.tokens": b"x"}
    )
    built = config(web, {"w.zip": archive}, members=["*train*"], format="txt")
    with pytest.raises(DataError, match="split is empty"):  # one document, since it is one text
        run(tmp_path, built)
    with pytest.raises(DataError, match="no member that matches nothing"):
        run(tmp_path / "b", config(web, {"w.zip": archive}, members=["nothing*"]))
    with pytest.raises(DataError, match="no member of a known format"):
        run(tmp_path / "c", config(web, {"w.zip": archive}))
    with pytest.raises(DataError, match="no archive by its name"):
        run(tmp_path / "d", config(web, {"w.jsonl": JSONL}, members=["*"]))


def test_members_of_unknown_formats_stop_or_are_counted_as_files_of_a_folder_are(web, tmp_path):
    archive = make(".zip", {"d/rows.jsonl": JSONL, "d/rows.dat": b"x", "d/rows.parquet.gz": b"x"})
    built = config(web, {"rows.zip": archive}, members=["d/*"])
    with pytest.raises(
        DataError, match=r"member d/rows.dat ends in '.dat'; known are .*corpus.on_bad_row=drop"
    ):
        run(tmp_path / "a", built)
    assert len(run(tmp_path, dataclasses.replace(built, on_bad_row="drop"))) == len(ROWS)
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["dropped"] == {"unknown format": 2}


def test_what_is_cached_needs_no_server_and_planning_never_does(web, tmp_path):
    built = config(web, {"rows.jsonl": JSONL})
    assert corpus.content(built, None) == {f"0:{web.url('/rows.jsonl')}": sha(JSONL)}
    assert web.requests == []
    first = run(tmp_path, built)
    web.files = {}
    (tmp_path / "out").rename(tmp_path / "first")
    assert run(tmp_path, built) == first
    assert len(web.requests) == 1


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (make(".zip", {"../evil.jsonl": JSONL}), "books.zip{} is refused: its member '../evil.jsonl'"),
        (make(".zip", {"rows.txt": JSONL}), "/books.zip{} holds no member that matches"),
        (make(".zip", {"rows.jsonl": b"{"}), "/books.zip{}, member rows.jsonl, line 1 is not JSON"),
        (JSONL, "books.zip{} cannot be read as an archive"),
    ],
)
def test_a_file_that_came_from_the_cache_unasked_is_called_so(web, tmp_path, data, sentence):
    built = config(web, {"books.zip": data}, members=["*.jsonl"])
    with pytest.raises(DataError, match=sentence.replace("{}", "")):
        run(tmp_path / "first", built)
    assert len(web.requests) == 1
    (tmp_path / "first" / "cache").rename(tmp_path / "cache")
    with pytest.raises(DataError, match=sentence.replace("{}", r" \(from the cache, by its sha256\)")):
        run(tmp_path, built)
    assert len(web.requests) == 1


def test_a_wrong_checksum_and_a_bomb_stop_the_stage_with_one_sentence(web, tmp_path):
    built = config(web, {"rows.jsonl": JSONL})
    web.files["/rows.jsonl"] = JSONL + b"\n"
    with pytest.raises(DataError, match="was expected"):
        run(tmp_path / "a", built)
    bomb = gzip.compress(bytes(3_000_000))
    with pytest.raises(DataError, match="unpacks to more than 1,000,000 bytes"):
        run(tmp_path / "b", config(web, {"rows.txt.gz": bomb}, max_unpacked_bytes=1_000_000))


def test_a_source_may_not_send_more_than_its_bound_announced_or_not(web, tmp_path):
    files = {"a.jsonl": JSONL, "b.jsonl": JSONL.replace(b"web", b"net")}
    total = sum(map(len, files.values()))
    assert len(run(tmp_path / "enough", config(web, files, max_bytes=total))) == 120
    for i, (limit, name) in enumerate([(total - 1, "b.jsonl"), (len(JSONL) - 1, "a.jsonl")]):
        with pytest.raises(DataError) as error:
            run(tmp_path / str(i), config(web, files, max_bytes=limit))
        assert f"/{name} is larger than the {len(JSONL) - 1:,} bytes that it may have" in str(error.value)
        assert "raise max_bytes of its source" in str(error.value)
        (part,) = (tmp_path / str(i) / "cache" / "downloads").glob("*.part")
        assert part.stat().st_size == 0


def test_a_file_of_the_cache_that_is_larger_than_the_bound_leaves_nothing_for_the_next(web, tmp_path):
    run(tmp_path, config(web, {"a.jsonl": JSONL}))
    (tmp_path / "out").rename(tmp_path / "first")
    files = {"a.jsonl": JSONL, "b.jsonl": JSONL.replace(b"web", b"net")}
    with pytest.raises(DataError, match=r"/b\.jsonl is larger than the 0 bytes that it may have"):
        run(tmp_path, config(web, files, max_bytes=len(JSONL) - 1))


def test_compressed_members_of_an_archive_share_the_bound_on_what_it_unpacks_to(web, tmp_path):
    rows = [json.dumps({"body": f"{i} " + "x" * 4000}).encode() for i in range(300)]
    parts = {f"{i}.jsonl.gz": gzip.compress(b"\n".join(rows[i::3])) for i in range(3)}  # 0.4 MB each
    files = {"a.zip": make(".zip", parts)}
    assert len(run(tmp_path / "enough", config(web, files, max_unpacked_bytes=1_300_000))) == 300
    with pytest.raises(DataError, match="unpacks to more than 1,100,000 bytes"):
        run(tmp_path / "less", config(web, files, max_unpacked_bytes=1_100_000))


def test_waits_and_limits_are_no_part_of_the_identity(web):
    plain = identity(config(web, {"rows.jsonl": JSONL}))
    assert plain == identity(
        config(web, {"rows.jsonl": JSONL}, retries=9, timeout_s=1, max_bytes=7, max_unpacked_bytes=5)
    )
    assert plain != identity(config(web, {"rows.jsonl": JSONL}, column="text"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sha256": []}, "sha256 must have one value for each of the 1 urls, has 0"),
        ({"sha256": ["12"]}, "64 hexadecimal digits"),
        ({"urls": []}, "urls must name at least one file"),
        ({"urls": ["file:///etc/passwd"]}, "must begin with http:// or https://"),
        ({"urls": ["https://user:secret@host/x"]}, "no user name and no password"),
        ({"urls": ["https://host/f\u00fcr.txt"]}, "percent-encoded, in ASCII"),
        ({"urls": ["http://[::1"]}, "must be URLs"),
        ({"urls": ["https://host/x?X-Amz-Signature=abc123"]}, "no key, token or signature"),
    ],
)
def test_addresses_and_checksums_that_cannot_be_are_refused(changes, words):
    values = {"urls": ["https://host/x.txt"], "sha256": ["0" * 64], **changes}
    with pytest.raises(ConfigError) as error:
        build(CorpusConfig, {"sources": {"http": values}})
    assert words in str(error.value)
    assert "secret" not in str(error.value)
