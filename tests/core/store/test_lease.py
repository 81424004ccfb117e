import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lmexp.core.store import lease as leases
from lmexp.core.store.lease import (
    Lease,
    Waiter,
    collect,
    holder,
    is_held,
    known_dead,
    lease_problems,
    newest_generation,
    process_start,
    this_process,
)
from lmexp.core.values.sealed import read_sealed, write_sealed


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_one_process_holds_and_the_next_gets_it_after_release(tmp_path):
    first = Waiter(tmp_path, 30).try_acquire()
    assert isinstance(first, Lease)
    assert Waiter(tmp_path, 30).try_acquire() is None
    first.release()
    second = Waiter(tmp_path, 30).try_acquire()
    assert second is not None
    assert (first.generation, second.generation) == (1, 2)
    second.release()


def test_a_dead_holder_on_this_host_is_taken_over_at_once(tmp_path):
    code = f"""
import os, pathlib
from lmexp.core.store.lease import Waiter
Waiter(pathlib.Path({str(tmp_path)!r}), 30).try_acquire()
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert holder(tmp_path) is not None
    assert not is_held(tmp_path)
    taken = Waiter(tmp_path, 30).try_acquire()
    assert taken is not None
    taken.release()


def test_a_reused_process_id_is_not_mistaken_for_the_holder(tmp_path):
    held = Waiter(tmp_path, 30).try_acquire()
    write_sealed(tmp_path / "0001.json", {**read_sealed(tmp_path / "0001.json"), "started": "1"})
    assert not is_held(tmp_path)
    held.release()


@pytest.mark.parametrize(
    "other",
    [
        {"boot": "another boot"},
        {"boot": this_process()["boot"].replace("pid:[", "pid:[9")},
        {"host": "another"},
    ],
    ids=["boot", "container", "host"],
)
def test_of_a_process_of_another_boot_container_or_host_nothing_is_known(tmp_path, other):
    dead = {**this_process(), "started": "1"}
    assert known_dead(dead)
    assert {**dead, **other} != dead
    assert not known_dead({**dead, **other})
    write_sealed(tmp_path / "0001.json", dead)
    assert not is_held(tmp_path)
    write_sealed(tmp_path / "0001.json", {**dead, **other})
    assert is_held(tmp_path)
    clock = Clock()
    waiter = Waiter(tmp_path, 30, clock)
    assert waiter.try_acquire() is None
    clock.now = 29.9
    assert waiter.try_acquire() is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"host": "h", "boot": "b", "pid": 1, "started": null}'])
def test_a_holder_whose_file_is_damaged_is_taken_over_when_its_heartbeat_stands_still(tmp_path, text):
    (tmp_path / "0001.json").write_text(text)
    assert holder(tmp_path) == {"host": "unknown", "boot": "", "pid": 0, "started": None}
    clock = Clock()
    waiter = Waiter(tmp_path, 30, clock)
    assert waiter.try_acquire() is None
    clock.now = 30
    taken = waiter.try_acquire()
    assert taken is not None
    assert not taken.lost
    taken.release()


def test_a_lease_whose_directory_was_begun_anew_is_lost(tmp_path):
    first = Waiter(tmp_path / "lease", 30).try_acquire()
    (tmp_path / "lease").rename(tmp_path / "trash")
    assert first.lost
    second = Waiter(tmp_path / "lease", 30).try_acquire()
    assert first.generation == second.generation == 1
    assert first.lost
    assert not second.lost
    first.release()
    assert first.lost
    second.release()


def test_who_finds_the_directory_collected_tries_again(tmp_path, monkeypatch):
    waiter, link = Waiter(tmp_path / "lease", 30), os.link

    def collected(source, target):
        (tmp_path / "lease").rename(tmp_path / "trash")
        link(source, target)

    monkeypatch.setattr(os, "link", collected)
    assert waiter.try_acquire() is None
    monkeypatch.undo()
    taken = waiter.try_acquire()
    assert taken.generation == 1
    taken.release()


def test_generations_are_numbers_of_four_digits_or_more(tmp_path):
    for name in ("0002.json", "10000.json", "0003.beat", "²²²².json", "12.json", ".x.tmp"):
        (tmp_path / name).touch()
    assert newest_generation(tmp_path) == 10_000
    assert newest_generation(tmp_path / "none") == 0


def elsewhere(directory, generation=1):
    directory.mkdir(exist_ok=True)
    who = {"host": "another", "boot": "b", "pid": 1, "started": "1"}
    write_sealed(directory / f"{generation:04d}.json", who)


def test_a_holder_on_another_host_is_taken_over_only_when_its_heartbeat_stands_still(tmp_path):
    elsewhere(tmp_path)
    clock = Clock()
    waiter = Waiter(tmp_path, 30, clock)
    assert waiter.try_acquire() is None
    clock.now = 29
    assert waiter.try_acquire() is None
    (tmp_path / "0001.beat").write_text("1")
    clock.now = 31
    assert waiter.try_acquire() is None, "the heartbeat moved, so the time starts anew"
    clock.now = 60
    assert waiter.try_acquire() is None
    clock.now = 61
    taken = waiter.try_acquire()
    assert taken is not None
    assert taken.generation == 2
    taken.release()


def test_a_holder_that_was_taken_over_knows_that_it_lost(tmp_path):
    held = Waiter(tmp_path, 30).try_acquire()
    assert not held.lost
    elsewhere(tmp_path, generation=2)
    assert held.lost
    held.release()
    assert not (tmp_path / "0002.done").exists(), "releasing a lost lease leaves the new one alone"


def test_the_holder_beats(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "BEAT_EVERY_S", 0.02)
    held = Waiter(tmp_path, 30).try_acquire()
    beat = tmp_path / "0001.beat"
    while not beat.exists() or int(beat.read_text() or 0) < 3:
        pass
    held.release()
    assert int(beat.read_text()) >= 3


FULL = """
import pathlib, resource, sys, time
from lmexp.core.store import lease
lease.BEAT_EVERY_S = 0.01
held = lease.Waiter(pathlib.Path(sys.argv[1]), 30).try_acquire()
beat = pathlib.Path(sys.argv[1], "0001.beat")
while not beat.exists():
    time.sleep(0.01)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
time.sleep(0.2)
print(beat.read_text(), flush=True)
"""


def test_a_beat_that_the_disk_refuses_leaves_the_one_before(tmp_path):
    said = subprocess.run([sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, timeout=60)
    assert said.stdout.strip().isdecimal(), said.stderr
    assert lease_problems(tmp_path) == []


def contend(directory, start, results):
    from pathlib import Path

    start.wait()
    lease = Waiter(Path(directory), 30).try_acquire()
    results.put(lease.generation if lease else None)
    start.wait()
    os._exit(0)


@pytest.mark.parametrize("attempt", range(3))
def test_of_many_processes_that_try_at_once_one_gets_the_lease(tmp_path, attempt):
    context = multiprocessing.get_context("fork")
    start, results = context.Barrier(8), context.SimpleQueue()
    processes = [context.Process(target=contend, args=(str(tmp_path), start, results)) for _ in range(8)]
    for process in processes:
        process.start()
    got = [results.get() for _ in processes]
    for process in processes:
        process.join()
    assert sorted(g for g in got if g is not None) == [1]


def test_process_start_tells_processes_apart_and_knows_the_dead():
    assert process_start(os.getpid()) == process_start(os.getpid())
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert process_start(child.pid) is None


def test_a_lease_that_nobody_holds_can_be_collected_and_is_then_begun_anew(tmp_path):
    folder, trash = tmp_path / "leases" / "x", tmp_path / "trash" / "x"
    held = Waiter(folder, 30).try_acquire()
    assert not collect(folder, trash)
    held.release()
    assert collect(folder, trash)
    assert sorted(p.name for p in trash.iterdir() if p.suffix == ".json") == ["0001.json", "0002.json"]
    assert not folder.exists()
    again = Waiter(folder, 30).try_acquire()
    assert again.generation == 1
    assert held.lost
    again.release()


def test_a_lease_that_is_collected_writes_nothing_into_the_one_that_is_begun_anew(tmp_path, monkeypatch):
    folder, begun = tmp_path / "x", []
    Waiter(folder, 30).try_acquire().release()
    rename = Path.rename

    def begin_anew(path, target):
        rename(path, target)
        begun.append(Waiter(folder, 30).try_acquire())

    monkeypatch.setattr(Path, "rename", begin_anew)
    assert collect(folder, tmp_path / "trash")
    monkeypatch.undo()
    (held,) = begun
    assert not held.lost
    assert {path.name.partition(".")[0] for path in folder.iterdir()} <= {"0001"}
    held.release()


def test_what_is_not_as_a_holder_wrote_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "BEAT_EVERY_S", 0.01)
    held = Waiter(tmp_path, 30).try_acquire()
    while not (tmp_path / "0001.beat").exists():
        pass
    held.release()
    assert lease_problems(tmp_path) == []
    (tmp_path / "0001.beat").write_text("x")
    (tmp_path / "0001.done").write_text("x")
    (tmp_path / "0002.json").mkdir()
    (tmp_path / "notes").write_text("")
    named = [problem.split(" ")[0].rpartition("/")[2] for problem in lease_problems(tmp_path)]
    assert named == ["0001.beat", "0001.done", "0002.json", "notes"]
    (tmp_path / "0001.json").write_text((tmp_path / "0001.json").read_text().replace("pid", "pie"))
    assert len(lease_problems(tmp_path)) == 5
