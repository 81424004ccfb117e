import os
import shutil
import signal

import pytest

from lmexp.core.records import gc, runs
from lmexp.core.records.gc import find_garbage, sweep
from lmexp.core.records.runs import list_runs
from lmexp.core.store import store as store_module
from lmexp.core.store.lease import Waiter
from lmexp.core.store.store import Store
from lmexp.core.values.sealed import read_sealed, write_sealed
from lmexp.errors import ConfigError, StoreError

from ..conftest import processes_of, wait_until
from ..store.test_store import published
from .test_runs import begin as begin  # noqa: PLC0414 - a fixture


def runs_of(command):
    return sorted(p.name for p in (command.store / "runs").iterdir())


def test_only_what_no_kept_run_needs_is_swept(command):
    assert command.run("numbers.count=3").returncode == 0
    first = runs_of(command)
    assert command.run("numbers.count=3", "total.power=2").returncode == 0
    (second,) = set(runs_of(command)) - set(first)
    store = Store(command.store)
    assert find_garbage(store) == []
    garbage = find_garbage(store, keep=[second])
    assert [g.path.name.startswith("power-1-") for g in garbage] == [True]
    assert garbage[0].num_bytes > 0
    assert sweep(store, garbage, [second]) == garbage
    assert [r.data["identity"].get("power") for r in store.records("toy_total")] == [2]
    assert len(store.records("toy_numbers")) == 1


def test_what_another_process_computes_is_kept(command):
    store = Store(command.store)
    store.prepare()
    for name in ("a" * 64, "b" * 64):
        (store.scratch(name) / "0001-x").mkdir(parents=True)
    lease = Waiter(store.leases("a" * 64), 30).try_acquire()
    assert [g.path.name for g in find_garbage(store)] == ["b" * 64]
    lease.release()


def test_a_swept_artifact_is_computed_again_when_it_is_needed(command):
    assert command.run().returncode == 0
    store = Store(command.store)
    (run,) = (command.store / "runs").iterdir()
    shutil.rmtree(run)
    assert len(find_garbage(store)) == 2
    sweep(store, find_garbage(store))
    assert store.records() == []
    assert command.run().returncode == 0
    assert len(store.records()) == 2


def test_a_run_that_was_killed_before_its_first_stage_keeps_what_it_had(command):
    assert command.run().returncode == 0
    store = Store(command.store)
    (run,) = (command.store / "runs").iterdir()
    data = read_sealed(run / "run.json")
    write_sealed(run / "run.json", {**data, "status": "running", "stages": {}})
    assert find_garbage(store) == []


def test_a_run_that_goes_on_is_kept_whatever_is_named(command):
    assert command.run("numbers.count=3").returncode == 0
    (first,) = (p.name for p in (command.store / "runs").iterdir())
    process = command.start("numbers.count=4", "total.step_s=30")
    wait_until(lambda: command.computes("toy_total"))
    store = Store(command.store)
    assert find_garbage(store, keep=[first]) == []
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not processes_of(command.directory))
    assert {g.reason for g in find_garbage(store, keep=[first])} == {
        "no kept run uses it",
        "an attempt that nobody continues",
    }


def test_downloads_are_swept_on_demand_and_never_beside_a_run_that_goes_on(command):
    assert command.run("numbers.count=3").returncode == 0
    store = Store(command.store)
    downloads = store.cache / "downloads"
    downloads.mkdir(parents=True)
    (downloads / "a").write_bytes(b"12345")
    for name in ("hub/resolved", "hub/datasets", "curves", "of-somebody-else"):
        (store.cache / name).mkdir(parents=True)
        (store.cache / name / "x").write_text("")
    assert find_garbage(store) == []
    found = [
        (g.path.relative_to(store.cache).as_posix(), g.num_bytes) for g in find_garbage(store, downloads=True)
    ]
    assert found == [("downloads", 5), ("curves", 0), ("hub/datasets", 0)]
    process = command.start("numbers.count=4", "total.step_s=1")
    wait_until(lambda: any(r.status == "running" for r in list_runs(store)))
    with pytest.raises(ConfigError, match="goes on and may need its downloads"):
        find_garbage(store, downloads=True)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    sweep(store, [g for g in find_garbage(store, downloads=True) if store.cache in g.path.parents])
    left = sorted(p.relative_to(store.cache).as_posix() for p in store.cache.rglob("x"))
    assert left == ["hub/resolved/x", "of-somebody-else/x"], "which commit a revision stood for stays known"


def test_the_checkpoint_of_an_interrupted_run_is_kept_as_long_as_the_run_is(command):
    process = command.start("total.step_s=0.2", "numbers.count=50")
    wait_until(lambda: list(command.store.glob("scratch/*/*/work/checkpoints/step-*.ckpt")))
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(30) == 75
    store = Store(command.store)
    assert list(store.root.glob("scratch/*/*/work/checkpoints/step-*.ckpt"))
    assert find_garbage(store) == []
    (run,) = runs_of(command)
    shutil.rmtree(store.runs / run)
    assert "an attempt that nobody continues" in [g.reason for g in find_garbage(store)]


def test_what_a_run_has_come_to_need_meanwhile_is_not_deleted(command):
    assert command.run("numbers.count=3").returncode == 0
    (first,) = runs_of(command)
    assert command.run("numbers.count=4").returncode == 0
    (second,) = set(runs_of(command)) - {first}
    store = Store(command.store)
    (command.store / "runs" / first).rename(command.directory / "aside")
    garbage = find_garbage(store)
    assert len(garbage) == 2
    (command.directory / "aside").rename(command.store / "runs" / first)
    assert sweep(store, garbage) == []
    assert sweep(store, garbage, [second]) == garbage


def test_what_was_made_from_files_outside_says_so(command):
    assert command.run().returncode == 0
    store = Store(command.store)
    (record,) = store.records("toy_numbers")
    from_files = {**record.data, "content": {"a.txt": "0" * 64}}
    shutil.rmtree(command.store / "runs" / runs_of(command)[0])
    write_sealed(record.path / "artifact.json", from_files)
    reasons = {g.path.parent.name: g.reason for g in find_garbage(store)}
    assert reasons == {
        "toy_numbers": "no kept run uses it, and it was made from files outside the store",
        "toy_total": "no kept run uses it",
    }


@pytest.fixture
def kept(store):
    """A store with one artifact that no run needs, and the runs' directory."""
    store.runs.mkdir()
    return published(store)


def test_where_the_record_of_a_run_is_lost_nothing_is_garbage(store, kept):
    assert [g.path for g in find_garbage(store)] == [kept.path]
    garbage = find_garbage(store)
    (store.runs / "toy-12345678").mkdir()
    for damage in (None, "", "[]", "{}", '{"run": "toy-12345678", "planned": {}, "stages": {}}'):
        if damage is not None:
            (store.runs / "toy-12345678" / "run.json").write_text(damage)
        for collect in (lambda: find_garbage(store), lambda: sweep(store, garbage)):
            with pytest.raises(StoreError, match=r"not known what can go: .*toy-12345678/run\.json .*delete"):
                collect()
    shutil.rmtree(store.runs)
    with pytest.raises(StoreError, match="runs is gone"):
        sweep(store, garbage)
    assert kept.path.exists()
    store.runs.mkdir()
    assert sweep(store, find_garbage(store)) == garbage


def test_only_what_has_a_name_of_lmexps_own_is_deleted_and_only_from_a_store(store, kept, tmp_path):
    sweep(store, find_garbage(store))
    theirs = ("trash/photos", "trash/one.tar", "scratch/thesis", "cache/mine", "scratch/" + "0" * 63)
    for name in theirs:
        (store.root / name).mkdir(parents=True)
        (store.root / name / "x").write_text("x")
    (store.root / "trash" / "s-one-abababababab-0123abcd").mkdir()
    (garbage,) = find_garbage(store, downloads=True)
    assert garbage.path.name == "s-one-abababababab-0123abcd"
    sweep(store, [garbage])
    assert all((store.root / name / "x").exists() for name in theirs)
    (store.root / "lmexp-store.json").unlink()
    for collect in (lambda: find_garbage(store), lambda: sweep(store, [])):
        with pytest.raises(ConfigError, match="there is no store"):
            collect()


def test_leases_that_nobody_holds_go_with_the_garbage_unless_an_attempt_goes_on_from_them(store, kept):
    for name in ("a" * 64, "b" * 64, "c" * 64):
        lease = Waiter(store.leases(name), 30).try_acquire()
        if name != "c" * 64:
            lease.release()
    (store.scratch("b" * 64)).mkdir(parents=True)
    sweep(store, [])
    assert sorted(p.name for p in (store.root / "leases").iterdir()) == ["b" * 64, "c" * 64]
    assert list((store.root / "trash").iterdir()) == []
    assert not lease.lost
    lease.release()


def test_what_a_run_needs_is_kept_and_looked_at_again_before_it_goes(store, begin):
    record = published(store)
    (store.scratch("cd" * 32) / "0001-01234567").mkdir(parents=True)
    (store.scratch("ef" * 32) / "0001-01234567").mkdir(parents=True)
    first = begin("first")
    garbage = find_garbage(store)
    assert {g.path.name for g in garbage} == {record.name, "cd" * 32, "ef" * 32}
    lease = Waiter(store.leases("cd" * 32), 30).try_acquire()
    data = read_sealed(first.path / "run.json")
    planned = {"total": record.fingerprint, "other": "ef" * 32}
    write_sealed(first.path / "run.json", {**data, "planned": planned, "status": "done"})
    assert find_garbage(store) == []
    assert sweep(store, garbage) == []
    lease.release()
    assert [g.path.name for g in find_garbage(store)] == ["cd" * 32]
    second = begin("second")
    second.close("done")
    kept = [g.path.name for g in find_garbage(store, [second.name])]
    assert kept == [record.name, "cd" * 32, "ef" * 32]
    assert {g.path.name for g in sweep(store, garbage, [second.name])} == set(kept)
    assert not record.path.exists()
    with pytest.raises(ConfigError, match="no run"):
        find_garbage(store, ["gone"])


def test_no_downloads_go_while_a_run_goes_on(store, begin):
    (store.cache / "downloads").mkdir(parents=True)
    running = begin("running")
    assert find_garbage(store) == []
    with pytest.raises(ConfigError, match="goes on and may need its downloads"):
        find_garbage(store, downloads=True)
    running.close("failed")
    assert [g.path.name for g in find_garbage(store, downloads=True)] == ["downloads"]


def test_a_sweep_reads_only_the_runs_that_have_changed_since_the_last_look(store, begin, monkeypatch):
    names = [begin(f"run{i}").name for i in range(5)]
    reads = []
    real = runs.read_run
    monkeypatch.setattr(runs, "read_run", lambda folder: reads.append(folder.name) or real(folder))
    looking = gc._Runs(store)
    assert sorted(reads) == sorted(names)
    for name in (names[2], names[4]):
        data = read_sealed(store.runs / name / "run.json")
        write_sealed(store.runs / name / "run.json", {**data, "planned": {"total": name}})
        reads.clear()
        assert name in looking.marked([])
        assert reads == [name]
    shutil.rmtree(store.runs / names[2])
    assert names[2] not in looking.marked([])
    assert names[4] in looking.marked([])
    (store.runs / names[4] / "run.json").unlink()  # rebuilt, or lost: it is looked at each time
    (store.runs / names[4] / "invocations.jsonl").unlink(missing_ok=True)
    assert names[4] not in looking.marked([])


def test_only_the_records_of_garbage_are_read(store, begin, monkeypatch):
    kept, garbage = published(store), published(store, fingerprint="12" * 32)
    run = begin("first")
    data = read_sealed(run.path / "run.json")
    write_sealed(run.path / "run.json", {**data, "planned": {"total": kept.fingerprint}})
    reads = []
    real = store_module.read_record
    monkeypatch.setattr(store_module, "read_record", lambda path: reads.append(path) or real(path))
    assert [g.path for g in find_garbage(store)] == reads == [garbage.path]
