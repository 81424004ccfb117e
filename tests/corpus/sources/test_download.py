"""Downloads against a real server: kills, breaks, lies and silence; in the end the sha256 is right."""

import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import threading

import pytest

from lmexp.corpus.sources.download import download
from lmexp.errors import DataError

DATA = random.Random(1).randbytes(600_000)
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def served(web):
    web.files["/data.bin"] = DATA
    return web


def fetch(web, folder, sha256=SHA, path="/data.bin", **options):
    options = {"retries": 2, "timeout_s": 5.0, "wait_s": 0.001, **options}
    return download(web.url(path), sha256, folder, **options)


def refusal(web, folder, **options) -> str:
    with pytest.raises(DataError) as error:
        fetch(web, folder, **options)
    message = str(error.value)
    assert message.startswith("http://127.0.0.1:")
    assert "\n" not in message
    assert not (folder / SHA).exists()
    return message


def test_a_file_arrives_whole_under_its_checksum_and_is_not_fetched_twice(served, tmp_path):
    path = fetch(served, tmp_path / "cache")
    assert path == tmp_path / "cache" / SHA
    assert path.read_bytes() == DATA
    assert fetch(served, tmp_path / "cache") == path
    assert len(served.requests) == 1
    assert os.listdir(tmp_path / "cache") == [SHA]


def test_a_cached_file_that_was_altered_is_fetched_again(served, tmp_path):
    fetch(served, tmp_path).write_bytes(b"altered")
    assert fetch(served, tmp_path).read_bytes() == DATA


def test_a_broken_connection_is_resumed_where_it_broke_with_the_version_it_began_with(served, tmp_path):
    served.break_after = [100_000, 50_000, 1]
    assert fetch(served, tmp_path).read_bytes() == DATA
    assert [r.get("Range") for r in served.requests] == [
        None,
        "bytes=100000-",
        "bytes=150000-",
        "bytes=150001-",
    ]
    assert [r.get("If-Range") for r in served.requests] == [None, '"v1"', '"v1"', '"v1"']


def test_only_attempts_without_progress_count_against_the_retries(served, tmp_path):
    served.break_after = [10_000] * 30
    assert fetch(served, tmp_path, retries=0).read_bytes() == DATA
    served.break_after = [10_000, 0, 0]
    (tmp_path / SHA).unlink()
    message = refusal(served, tmp_path, retries=1)
    assert "the connection ended after 0 of 590,000 bytes (2 attempts without progress; " in message
    assert "10,000 bytes are kept, and the same command goes on" in message
    assert fetch(served, tmp_path).read_bytes() == DATA


def test_a_file_that_changed_between_two_attempts_is_fetched_anew(served, tmp_path):
    served.files["/data.bin"] = b"x" * 600_000
    served.etag = '"v0"'
    served.break_after = [200_000]
    seen = threading.Event()

    def change(_sent):
        served.files["/data.bin"], served.etag = DATA, '"v1"'
        seen.set()

    served.on_sent = change
    assert fetch(served, tmp_path).read_bytes() == DATA
    assert seen.is_set()
    assert served.requests[1]["If-Range"] == '"v0"'


@pytest.mark.parametrize("lie", ["ignored", "shifted", "unsaid"])
def test_a_server_that_lies_about_ranges_still_gives_the_right_file(served, tmp_path, lie):
    served.ranges = lie
    served.break_after = [300_000]
    assert fetch(served, tmp_path).read_bytes() == DATA
    assert "Range" not in served.requests[-1] or lie == "ignored"


def test_a_part_of_another_version_is_found_out_by_the_checksum_and_fetched_in_one_piece(served, tmp_path):
    (tmp_path / f"{SHA}.part").write_bytes(b"y" * 1000)
    assert fetch(served, tmp_path).read_bytes() == DATA
    assert [r.get("Range") for r in served.requests] == ["bytes=1000-", None]


@pytest.mark.parametrize("size", [len(DATA), len(DATA) + 5])
def test_a_part_that_is_complete_or_too_long_is_brought_right(served, tmp_path, size):
    (tmp_path / f"{SHA}.part").write_bytes((DATA + b"extra")[:size])
    assert fetch(served, tmp_path).read_bytes() == DATA


def test_a_wrong_checksum_is_one_sentence_and_nothing_is_kept(served, tmp_path):
    wrong = "0" * 64
    message = refusal(served, tmp_path, sha256=wrong)
    assert f"has the sha256 {SHA}, but {wrong} was expected" in message
    assert (tmp_path / f"{wrong}.part").stat().st_size == 0
    assert len(served.requests) == 1


def test_a_silent_server_is_one_sentence_and_what_arrived_is_kept(served, tmp_path):
    served.stall_after = [65536, 0]  # the first attempt makes progress
    message = refusal(served, tmp_path, timeout_s=0.3, retries=0)
    assert "the server was silent for 0.3 s (1 attempt without progress; 65,536 bytes are kept" in message
    assert fetch(served, tmp_path).read_bytes() == DATA
    assert served.requests[-1]["Range"] == "bytes=65536-"


def test_redirects_are_followed_but_not_in_a_circle_nor_to_another_protocol(served, tmp_path):
    served.answers = [(302, {"Location": "/data.bin"})]
    assert fetch(served, tmp_path / "a", path="/old").read_bytes() == DATA
    served.answers = [(302, {"Location": "/one"}), (301, {"Location": "/two"})] * 20
    assert "redirects in a circle" in refusal(served, tmp_path / "b")
    served.answers = [(302, {"Location": "ftp://127.0.0.1/x"})]
    assert "redirects to where it cannot be followed (ftp://" in refusal(served, tmp_path / "b")


def test_a_missing_file_and_a_refused_connection_are_one_sentence(served, tmp_path):
    assert "the server answered 404 Not Found." in refusal(served, tmp_path, path="/none")
    assert len(served.requests) == 1  # that is final
    with pytest.raises(DataError, match=r"the connection was refused \(3 attempts without progress\)\.$"):
        download("http://127.0.0.1:9/x", SHA, tmp_path, retries=2, timeout_s=2, wait_s=0.001)


def test_statuses_that_call_themselves_temporary_are_retried(served, tmp_path):
    served.answers = [(503, {"Retry-After": "0"}), (429, {})]
    assert fetch(served, tmp_path).read_bytes() == DATA
    served.answers = [(500, {})] * 3
    assert "the server answered 500 Internal Server Error (3 attempts" in refusal(served, tmp_path / "b")


PROGRAM = """
import sys
from pathlib import Path
from lmexp.corpus.sources.download import download
download(sys.argv[1], sys.argv[2], Path(sys.argv[3]), retries=3, timeout_s=20, wait_s=0.01)
"""


def start(web, folder, sha256=SHA) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, web.url("/data.bin"), sha256, str(folder)])


def test_killed_at_thirty_random_points_and_resumed_the_sha256_is_right(web, tmp_path):
    chance = random.Random(7)
    data = chance.randbytes(4_000_000)
    sha256 = hashlib.sha256(data).hexdigest()
    web.files["/data.bin"], web.pause_s = data, 0.002
    part, offsets = tmp_path / f"{sha256}.part", []
    for _ in range(30):
        reached = threading.Event()
        goal = web.sent + chance.randrange(1, len(data) // 30)
        web.on_sent = lambda sent, goal=goal, reached=reached: sent >= goal and reached.set()
        process = start(web, tmp_path, sha256)
        assert reached.wait(60)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        offsets.append(part.stat().st_size)
        assert os.listdir(tmp_path) != [sha256]
    assert offsets == sorted(offsets)  # nothing that had arrived was lost
    assert len({*offsets}) > 10
    web.pause_s = 0.0
    assert start(web, tmp_path, sha256).wait() == 0
    assert web.requests[-1]["Range"] == f"bytes={offsets[-1]}-"
    assert hashlib.sha256((tmp_path / sha256).read_bytes()).hexdigest() == sha256
    assert os.listdir(tmp_path) == [sha256]


def test_what_a_kill_left_beside_the_part_is_cleared_away(served, tmp_path):
    (tmp_path / f".{SHA}.part.json.0123abcd.tmp").write_text("{")
    (tmp_path / f"{SHA}.part").write_bytes(DATA[:1000])
    fetch(served, tmp_path)
    assert os.listdir(tmp_path) == [SHA]


def test_two_processes_that_want_one_file_take_turns(served, tmp_path):
    served.pause_s = 0.002
    processes = [start(served, tmp_path) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert (tmp_path / SHA).read_bytes() == DATA
    assert len(served.requests) == 1
    assert os.listdir(tmp_path) == [SHA]


def test_a_full_disk_leaves_the_part_for_the_next_attempt(served, tmp_path):
    def limit_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    command = [sys.executable, "-c", PROGRAM, served.url("/data.bin"), SHA, str(tmp_path)]
    done = subprocess.run(command, preexec_fn=limit_files, capture_output=True, text=True, timeout=60)
    assert "OSError: [Errno 27]" in done.stderr  # as ENOSPC would, it reaches the worker, who words it
    assert (tmp_path / f"{SHA}.part").stat().st_size == 200_000
    assert fetch(served, tmp_path).read_bytes() == DATA
