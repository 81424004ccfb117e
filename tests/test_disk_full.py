"""A full disk: a small tmpfs as the store."""

import os
import subprocess

import pytest

from lmexp.core.store.store import Store

from .conftest import lmexp_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tmpfs needs root"),
]


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_ends_in_one_sentence_and_a_larger_one_goes_on(small, small_disk):
    """The disk is filled again and again in other places as it grows, until the run fits."""
    store = Store(small_disk / "store")
    places, kilobytes = [], 400
    while True:
        done = lmexp_run(store.root, *small, "tracking.mode=off", cwd=small_disk)
        if done.returncode == 0:
            break
        assert done.returncode == 1, done.stderr
        assert "Traceback" not in done.stderr
        sentences = [line for line in done.stderr.splitlines() if line.startswith("lmexp: ")]
        assert len(sentences) == 1, done.stderr
        assert "is full; nothing published was harmed" in sentences[0]
        assert all(not store.problems(record, reread=True) for record in store.records())
        places.append(done.stderr.splitlines()[-3:])
        kilobytes += 150
        assert kilobytes < 10_000
        subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(small_disk)], check=True)
    assert len(places) >= 4, "the disk was full in several places"
    assert all(not store.problems(record, reread=True) for record in store.records())
