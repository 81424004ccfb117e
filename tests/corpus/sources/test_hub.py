"""Datasets of the hub: commits resolved once, both ways of reading, and the cache without a hub."""

import json
import subprocess
import sys

import pytest

from lmexp.core.graph.compose import compose
from lmexp.core.values.config import build, identity
from lmexp.core.values.files import FileHasher
from lmexp.corpus.config import CorpusConfig, HubSource
from lmexp.corpus.sources.hub import content
from lmexp.errors import ConfigError, DataError
from tests.corpus.sources.hub import dataset

OLD, NEW = "a" * 40, "b" * 40
SHARDS = [[f"story {i} of shard {s}" for i in range(120)] for s in range(2)]
NAME = "someone/stories"

PROGRAM = """
import json, sys
from pathlib import Path
from lmexp.core.values.config import build
from lmexp.core.values.files import FileHasher
from lmexp.core.graph.stage import StageRun
from lmexp.corpus.config import CorpusConfig
from lmexp.errors import LmexpError
from lmexp.stages.corpus import CorpusArtifact, corpus

def heavy():
    return [m for m in ("datasets", "pyarrow", "torch", "numpy") if m in sys.modules]

def run(name, values, cache, out):
    config = build(CorpusConfig, values)
    known = heavy()
    content = corpus.content(config, FileHasher(cache / "hashes.json"))
    assert heavy() == known, "planning imports nothing heavy"
    work = out / name
    work.mkdir(parents=True)
    stage_run = StageRun(
        out=work, work=work, cache=cache, log=print, should_stop=lambda: False, content=content
    )
    corpus.function(stage_run, config)
    splits = ("train", "validation", "test")
    return {d.id: d.text for s in splits for d in CorpusArtifact(work).documents(s)}

results = {}
for name, values in json.loads(sys.argv[3]).items():
    try:
        results[name] = run(name, values, Path(sys.argv[1]), Path(sys.argv[2]))
    except LmexpError as error:
        results[name] = str(error)
print(json.dumps({**results, "imported": "datasets" in sys.modules}))
"""


@pytest.fixture
def stories(hub):
    hub.repositories[NAME] = {OLD: dataset([["old"]]), NEW: dataset(SHARDS)}
    return hub


def source(**options):
    return build(HubSource, {"name": NAME, **options})


def run(tmp_path, **cases):
    """Run the corpus stage in a process of its own; return documents or a sentence for each case."""
    fractions = {"validation_fraction": 0.2, "test_fraction": 0.2}
    values = {
        name: {"sources": {"hub": {"name": NAME, **options}}, **fractions} for name, options in cases.items()
    }
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "cache"), str(tmp_path), json.dumps(values)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


EXPECTED = {f"train:{i}": text for i, text in enumerate(text for shard in SHARDS for text in shard)}


def test_a_dataset_is_prepared_once_and_read_without_the_hub_until_a_byte_of_the_cache_flips(
    stories, tmp_path
):
    assert run(tmp_path, one={}) == {"one": EXPECTED, "imported": True}
    card = json.loads((tmp_path / "one" / "card.json").read_text())["sources"]["hub"]
    assert card["content"] == {NAME: NEW}
    assert (card["kind"], card["documents"], card["name"], card["split"]) == ("hub", 240, NAME, "train")
    asked = len(stories.requests)
    commits = stories.repositories.pop(NAME)
    assert run(tmp_path, two={}) == {"two": EXPECTED, "imported": False}
    assert len(stories.requests) == asked
    stories.repositories[NAME] = commits
    (prepared,) = tmp_path.rglob("*-train*.arrow")
    downloaded = [path for path in tmp_path.rglob("blobs/*") if b"PAR1" in path.read_bytes()]
    assert len(downloaded) >= len(SHARDS)
    for path in (prepared, *downloaded):
        data = bytearray(path.read_bytes())
        data[max(data.find(b"story 7 of"), len(data) // 2)] ^= 1
        path.chmod(0o644)
        path.write_bytes(data)
    assert run(tmp_path, three={}) == {"three": EXPECTED, "imported": True}
    for name in ("card.json", "train-00000.parquet"):
        one, two, three = ((tmp_path / run / name).read_bytes() for run in ("one", "two", "three"))
        assert one == two == three


FIRST = """
import json, sys
from collections import Counter
from pathlib import Path
from lmexp.core.values.config import build
from lmexp.corpus.config import CorpusConfig
from lmexp.corpus.sources.sources import read_sources

def first(values):
    config = build(CorpusConfig, values)
    cache = Path(sys.argv[1])
    (documents,) = read_sources(config, cache=cache, content={}, dropped={"hub": Counter()}).values()
    return next(documents).text

print(json.dumps({name: first(values) for name, values in json.loads(sys.argv[2]).items()}))
"""


def test_what_another_commit_subset_or_split_prepared_is_not_read(stories, tmp_path):
    cases = {
        "new": {},
        "old": {"revision": OLD},
        "other": {"subset": "other"},
        "held": {"split": "validation"},
    }
    values = {name: {"sources": {"hub": {"name": NAME, **options}}} for name, options in cases.items()}
    command = [sys.executable, "-c", FIRST, str(tmp_path / "cache"), json.dumps(values)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "new": "story 0 of shard 0",
        "old": "old",
        "other": "other than story 0 of shard 0",
        "held": "held out",
    }


def test_a_dataset_is_streamed_and_a_limit_takes_its_beginning(stories, tmp_path):
    found = run(tmp_path, out={"streaming": True, "limit": 130})["out"]
    assert found == {f"train:{i}": EXPECTED[f"train:{i}"] for i in range(130)}
    assert not any("validation" in request for request in stories.requests)
    assert not list((tmp_path / "cache").rglob("*.arrow"))


def test_what_cannot_be_loaded_is_one_sentence(stories, tmp_path):
    stories.repositories["someone/script"] = {NEW: {"script.py": b"import os", "README.md": b"no data"}}
    cases = {
        "a": ({"split": "trian"}, "split trian, cannot be loaded: "),
        "b": ({"subset": "another"}, "subset another, split train, cannot be loaded: "),
        "c": ({"column": "txt"}, "has no column 'txt' (did you mean 'text'?)"),
        "d": ({"name": "someone/script"}, "cannot be loaded: Dataset scripts are no longer supported"),
        "f": (
            {"subset": "other", "max_bytes": 100},
            "bytes, more than the 100 that they may have; read its beginning with streaming",
        ),
        "e": ({"column": "n", "streaming": True}, "the column 'n' must be text, was int64"),
    }
    found = run(tmp_path, **{name: options for name, (options, _) in cases.items()})
    for name, (_, words) in cases.items():
        assert words in found[name]
        assert "\n" not in found[name]


def test_a_revision_is_resolved_once_and_a_commit_never(stories, tmp_path):
    hasher = FileHasher(tmp_path / "cache" / "hashes.json")
    assert content(source(), hasher) == {NAME: NEW}
    assert stories.requests == [f"GET /api/datasets/{NAME}/revision/main"]
    stories.repositories[NAME]["c" * 40] = {}
    assert content(source(), hasher) == {NAME: NEW}
    assert content(source(revision=OLD), hasher) == {NAME: OLD}
    assert len(stories.requests) == 1
    assert content(source(), FileHasher()) == {NAME: "c" * 40}


def test_the_commit_and_what_is_read_of_it_are_the_identity(stories):
    plain = identity(source())
    assert plain == identity(source(revision=OLD, streaming=True))
    for change in ({"split": "validation"}, {"subset": "x"}, {"column": "x"}, {"limit": 3}):
        assert plain != identity(source(**change))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"revision": "v9"}, "The revision 'v9' of the dataset someone/stories cannot be resolved: http"),
        ({"name": "someone/storys"}, "has no such dataset, or shows it only with a token (HF_TOKEN)"),
    ],
)
def test_a_revision_that_the_hub_does_not_know_is_one_sentence(stories, options, words):
    with pytest.raises(DataError) as error:
        content(source(**options), FileHasher())
    assert words in str(error.value)


def test_without_a_hub_a_commit_is_asked_for(stories, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataError, match=r"Connection refused.*give a commit's 40 digits"):
        content(source(), FileHasher())
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="HF_HUB_OFFLINE is set"):
        content(source(), FileHasher())
    assert content(source(revision=OLD), FileHasher()) == {NAME: OLD}


def test_a_commit_that_was_never_fetched_is_not_read_from_another_ones_cache(stories, tmp_path, monkeypatch):
    assert isinstance(run(tmp_path, first={"revision": NEW})["first"], dict)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = run(tmp_path, other={"revision": OLD}, part={"revision": NEW, "subset": "part"})
    assert f"{NAME} at {OLD[:12]}" in found["other"]
    assert f"{NAME} at {NEW[:12]}" in found["part"]


def test_a_token_is_sent_to_the_hub_and_written_nowhere(stories, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    content(source(), FileHasher(tmp_path / "hashes.json"))
    assert stories.tokens == {"Bearer hf_secret"}
    written = [path.read_text() for path in tmp_path.rglob("*.json")]
    assert written
    assert not any("hf_secret" in text for text in written)


def test_rows_that_are_lines_are_joined_into_documents(hub, tmp_path):
    articles = [
        ["", f" = Title {i} = \n", "", f" Text {i} .\n", " = = Part = = \n", " More .\n"] for i in range(50)
    ]
    hub.repositories["Salesforce/wikitext"] = {
        NEW: dataset([[line for article in articles for line in article]], subset="wikitext-2-raw-v1")
    }
    shipped = compose(["+experiment=tiny", "corpus=wikitext2"]).config.corpus.sources["train"]
    options = {"name": shipped.name, "subset": shipped.subset, "document_start": shipped.document_start}
    found = run(tmp_path, out=options)["out"]
    assert found["train:1"] == " = Title 0 = \n\n Text 0 .\n = = Part = = \n More .\n\n"
    assert found["train:295"] == " = Title 49 = \n\n Text 49 .\n = = Part = = \n More .\n"
    assert len(found) == 50


SHIPPED = {
    "tinystories": ("roneneldan/TinyStories", None, "CDLA-Sharing-1.0"),
    "wikitext2": ("Salesforce/wikitext", "wikitext-2-raw-v1", "CC-BY-SA-3.0 and GFDL"),
    "wikitext103": ("Salesforce/wikitext", "wikitext-103-raw-v1", "CC-BY-SA-3.0 and GFDL"),
    "fineweb_edu": ("HuggingFaceFW/fineweb-edu", "sample-10BT", "ODC-By-1.0"),
    "openwebtext": ("Skylion007/openwebtext", None, "CC0-1.0"),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_configurations_name_a_dataset_and_its_licence(name):
    sources = compose(["+experiment=tiny", f"corpus={name}"]).config.corpus.sources.values()
    assert {(source.name, source.subset, source.licence) for source in sources} == {SHIPPED[name]}


@pytest.mark.parametrize("name", ["wikitext2", "wikitext103"])
def test_wikitext_keeps_its_official_splits(name):
    sources = compose(["+experiment=tiny", f"corpus={name}"]).config.corpus.sources.values()
    assert sorted((source.split, source.into) for source in sources) == [
        ("test", "test"),
        ("train", "train"),
        ("validation", "validation"),
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "stories"}, "like owner/name"),
        ({"split": "train[:10%]"}, "`limit` takes its beginning"),
        ({"revision": "a b"}, "a branch, a tag or a commit"),
        ({"document_start": "("}, "must be a regular expression"),
    ],
)
def test_names_that_cannot_be_are_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        build(CorpusConfig, {"sources": {"hub": {"name": NAME, **options}}})
