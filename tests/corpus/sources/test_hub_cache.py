"""The hub's part of the cache: what is not as it was kept is not there."""

import hashlib

import pytest

from lmexp.corpus.sources.hub_cache import HubCache
from tests.corpus.sources.hub import git_hash

ABOUT = {"dataset": "someone/stories", "subset": None, "split": "train", "commit": "a" * 40}


@pytest.fixture
def kept(tmp_path):
    cache = HubCache(tmp_path)
    files = [tmp_path / "hub" / "datasets" / f"{i}.arrow" for i in range(2)]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    cache.keep_prepared(ABOUT, files)
    cache.keep_commit("someone/stories", "main", "c" * 40)
    return cache, files


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_what_was_kept_is_found_again(kept):
    cache, files = kept
    assert cache.prepared(ABOUT) == files
    assert cache.commit("someone/stories", "main") == "c" * 40


@pytest.mark.parametrize(
    "change", [{"commit": "b" * 40}, {"subset": "other"}, {"split": "test"}, {"dataset": "someone/other"}]
)
def test_another_commit_subset_split_or_dataset_is_something_else(kept, change):
    assert kept[0].prepared({**ABOUT, **change}) is None


def test_names_and_revisions_that_could_be_confused_are_kept_apart(tmp_path):
    cache = HubCache(tmp_path)
    for i, (dataset, revision) in enumerate(
        [("a/b--c", "d"), ("a--b/c", "d"), ("a/b", "c/d"), ("a/b", "c--d")]
    ):
        cache.keep_commit(dataset, revision, str(i) * 40)
    assert [cache.commit("a/b--c", "d"), cache.commit("a--b/c", "d")] == ["0" * 40, "1" * 40]
    assert [cache.commit("a/b", "c/d"), cache.commit("a/b", "c--d")] == ["2" * 40, "3" * 40]


def test_one_flipped_bit_anywhere_makes_what_was_kept_unknown(kept):
    cache, files = kept
    for path in [*files, *cache.home.glob("*/*.json")]:
        before = path.read_bytes()
        for at in range(0, len(before), 5):
            flip(path, at)
            assert (cache.prepared(ABOUT) is None) or (cache.commit("someone/stories", "main") is None)
            path.write_bytes(before)
        path.write_bytes(before[:-1])
        whole = cache.prepared(ABOUT), cache.commit("someone/stories", "main")
        assert None in whole or path.suffix == ".json"  # the last byte of a note is a line end
        path.unlink()
        assert None in (cache.prepared(ABOUT), cache.commit("someone/stories", "main"))
        path.write_bytes(before)


def test_downloads_that_are_not_what_they_are_called_are_deleted(tmp_path):
    blobs = tmp_path / "hub" / "hub" / "datasets--someone--stories" / "blobs"
    blobs.mkdir(parents=True)
    data = b"some rows"
    sound = {hashlib.sha256(data).hexdigest(): data, git_hash(data): data}
    broken = {
        hashlib.sha256(b"x").hexdigest(): data,
        git_hash(b"y"): data,
        f"{hashlib.sha256(b'z').hexdigest()}.incomplete": b"so",
    }
    for name, content in {**sound, **broken}.items():
        (blobs / name).write_bytes(content)
    HubCache(tmp_path).discard_damaged_downloads("someone/other")
    assert len(list(blobs.iterdir())) == 5
    HubCache(tmp_path).discard_damaged_downloads("someone/stories")
    assert {path.name for path in blobs.iterdir()} == set(sound)
