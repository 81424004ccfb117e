"""A holder that sleeps past its heartbeat, at each moment of a stage, and wakes when another went on.

What sleeps is this process: at the moment, a second executor takes the lease over and goes as far as it is
told to, and only then does the first go on.
"""

import os
from collections.abc import Callable

import pytest

from lmexp.core.running import executor, worker
from lmexp.core.running.executor import execute
from lmexp.core.running.launch import _read_outcome
from lmexp.core.store import attempt as attempts
from lmexp.core.store import store as stores
from lmexp.core.store.attempt import new_attempt
from lmexp.core.store.lease import Waiter, holder
from lmexp.core.values.files import read_json, read_lines, write_json
from lmexp.core.values.settings import ExecutorConfig
from lmexp.errors import StageError

from ..conftest import Silent

SEGMENT = {"started": "2026-01-01T00:00:00+00:00"}


def in_this_process(spec, *, tick, **_):
    """Run a stage as its child would, where nothing can be paused but all is as fast as can be."""
    path = executor.Path(spec["attempt"])
    write_json(path / "spec.json", spec)
    tick()
    worker._run_stage(spec, 0)
    tick()
    return _read_outcome(path, 0)


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setattr(executor, "run_child", in_this_process)


MOMENTS = {
    "before the attempt is made": (executor, "new_attempt", "before"),
    "before earlier ones are moved aside": (attempts, "_moved_aside", "before"),
    "before the checkpoint is taken over": (attempts, "link_or_copy", "before"),
    "before earlier ones are removed": (attempts, "remove_attempts", "before"),
    "when the attempt is made": (executor, "new_attempt", "after"),
    "before the stage": (executor, "run_child", "before"),
    "in the stage": (worker, "load_provider", "before"),
    "after the stage": (executor, "run_child", "after"),
    "before it is published": (stores.Store, "publish", "before"),
    "before the record is written": (stores, "write_sealed", "before"),
    "when the record is written": (stores, "write_sealed", "after"),
    "when it is published": (stores.Store, "publish", "after"),
    "before scratch is removed": (executor, "remove_attempts", "before"),
}


def at(monkeypatch, moment: str, sleep: Callable[[], None]) -> None:
    """Call `sleep` once, when the moment comes."""
    owner, name, when = MOMENTS[moment]
    original, slept = getattr(owner, name), []

    def patched(*args, **kwargs):
        once = not slept
        slept.append(1)
        if once and when == "before":
            sleep()
        result = original(*args, **kwargs)
        if once and when == "after":
            sleep()
        return result

    monkeypatch.setattr(owner, name, patched)


@pytest.mark.parametrize(
    ("moment", "earlier"),
    [
        *((moment, "a checkpoint") for moment in MOMENTS),
        *(
            (m, "nothing")
            for m, (_, name, _) in MOMENTS.items()
            if name not in ("_moved_aside", "link_or_copy")
        ),
    ],
)
def test_a_sleeper_wakes_to_one_sentence_and_the_result_of_its_successor(
    moment, earlier, plan_toy, store, monkeypatch, fast
):
    plan = plan_toy()
    fingerprint = plan.by_name["total"].fingerprint
    execute(plan_toy(only=["numbers"]), store, ExecutorConfig(), Silent())
    if earlier == "a checkpoint":
        killed, _ = new_attempt(store.scratch(fingerprint), 0, SEGMENT)
        (killed / "work" / "checkpoints" / "step-00000002.ckpt").write_text("[2, 1]")
        (killed / "metrics.jsonl").write_text('{"step": 1, "sum": 0}\n{"step": 2, "sum": 1}\n')
    successor, sleeper = Silent(), Silent()

    def sleep() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(executor, "Waiter", lambda directory, _stale_after_s: Waiter(directory, 0))
            execute(plan, store, ExecutorConfig(), successor)
        published.append(store.find("toy_total", fingerprint).path.stat().st_ino)

    published: list[int] = []
    at(monkeypatch, moment, sleep)
    records = execute(plan, store, ExecutorConfig(), sleeper)
    late = moment in ("when it is published", "before scratch is removed")
    assert (successor.actions["total"] == "reused") == late
    if not late:
        assert sleeper.actions["total"] == "reused"
        (sentence,) = sleeper.losses
        assert f"total was taken over by process {os.getpid()} on " in sentence
        assert sentence.count(". ") == 0
    assert records["total"].metrics == {"sum": 10}
    assert records["total"].path.stat().st_ino == published[0]
    assert [p["step"] for p in read_lines(records["total"].path / "metrics.jsonl")] == [1, 2, 3, 4, 5]
    assert store.problems(records["total"], reread=True) == []
    assert store.damaged_records() == []
    assert not (store.root / "trash").exists()


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_sleeper_leaves_the_attempt_of_who_goes_on_alone(moment, plan_toy, store, monkeypatch, fast):
    plan = plan_toy()
    fingerprint = plan.by_name["total"].fingerprint
    execute(plan_toy(only=["numbers"]), store, ExecutorConfig(), Silent())
    scratch, leases = store.scratch(fingerprint), store.leases(fingerprint)
    killed, _ = new_attempt(scratch, 0, SEGMENT)
    (killed / "work" / "checkpoints" / "step-00000002.ckpt").write_text("[2, 1]")
    held = []

    def sleep() -> None:
        waiter = Waiter(leases, 0)
        while not held or held[0] is None:
            held[:] = [waiter.try_acquire()]
        made, step = new_attempt(scratch, held[0].generation, SEGMENT)
        checkpoint = made / "work" / "checkpoints" / f"step-{step or 0:08d}.ckpt"
        held.extend((made, step, checkpoint))
        checkpoint.touch()

    at(monkeypatch, moment, sleep)

    class Ends(Silent):
        def lost(self, message):
            super().lost(message)
            raise KeyboardInterrupt

    sleeper = Ends()
    try:
        execute(plan, store, ExecutorConfig(), sleeper)
    except KeyboardInterrupt:
        assert "taken over" in sleeper.losses[0]
    lease, made, _, checkpoint = held
    assert not lease.lost
    assert made.is_dir()
    assert checkpoint.exists()
    assert (made / "out").is_dir()
    lease.release()


def test_a_failure_of_a_holder_that_lost_its_lease_is_not_the_stages(plan_toy, store, monkeypatch, fast):
    plan = plan_toy(only=["numbers"])
    leases = store.leases(plan.by_name["numbers"].fingerprint)

    def lost(*_args, **_kwargs):
        generation = 1 + int(max(p.stem for p in leases.glob("*.json")))
        write_json(leases / f"{generation:04d}.json", {**holder(leases), "host": "far", "pid": 7})
        monkeypatch.setattr(executor, "run_child", in_this_process)
        (leases / f"{generation:04d}.done").touch()
        raise FileNotFoundError(2, "No such file or directory", "spec.json")

    monkeypatch.setattr(executor, "run_child", lost)
    sleeper = Silent()
    execute(plan, store, ExecutorConfig(), sleeper)
    assert sleeper.losses[0].startswith("numbers was taken over by")
    monkeypatch.setattr(executor, "run_child", lambda *_a, **_k: (_ for _ in ()).throw(StageError("broken")))
    with pytest.raises(StageError, match="broken"):
        execute(plan_toy(force=["numbers"]), store, ExecutorConfig(), Silent())


def test_an_attempt_touches_none_of_a_later_generation(tmp_path):
    later, _ = new_attempt(tmp_path, 3, SEGMENT)
    (later / "work" / "checkpoints" / "step-00000009.ckpt").write_text("")
    (tmp_path / "of-somebody-else").mkdir()
    woken, step = new_attempt(tmp_path, 2, SEGMENT)
    assert step is None, "what a later generation has is not for an earlier one"
    assert {p.name for p in tmp_path.iterdir()} == {later.name, woken.name, "of-somebody-else"}
    newest, step = new_attempt(tmp_path, 4, SEGMENT)
    assert step == 9
    assert {p.name for p in tmp_path.iterdir()} == {newest.name, "of-somebody-else"}


def test_whoever_wrote_in_an_earlier_attempt_finds_nothing_there(tmp_path, monkeypatch):
    first, _ = new_attempt(tmp_path, 1, SEGMENT)
    (first / "work" / "checkpoints" / "step-00000001.ckpt").write_text("")
    copied = attempts.link_or_copy

    def meanwhile(source, target):
        assert not first.exists(), "it was moved aside before anything is taken from it"
        copied(source, target)

    monkeypatch.setattr(attempts, "link_or_copy", meanwhile)
    _, step = new_attempt(tmp_path, 2, SEGMENT)
    assert step == 1


def test_an_attempt_that_was_killed_while_it_took_over_loses_nothing(tmp_path, monkeypatch):
    first, _ = new_attempt(tmp_path, 1, SEGMENT)
    (first / "work" / "checkpoints" / "step-00000001.ckpt").write_text("one")
    (first / "metrics.jsonl").write_text('{"step": 1}\n')

    def die(*_args, **_kwargs):
        raise KeyboardInterrupt

    for generation, name in enumerate(("_moved_aside", "write_json", "link_or_copy", "remove_attempts"), 2):
        with monkeypatch.context() as patch:
            patch.setattr(attempts, name, die)
            with pytest.raises(KeyboardInterrupt):
                new_attempt(tmp_path, generation, SEGMENT)
    last, step = new_attempt(tmp_path, 6, SEGMENT)
    assert step == 1
    assert (last / "work" / "checkpoints" / "step-00000001.ckpt").read_text() == "one"
    assert list(read_lines(last / "metrics.jsonl")) == [{"step": 1}]
    assert [s.get("from_step") for s in read_json(last / "segments.json")][-1] == 1


def test_a_checkpoint_that_goes_while_it_is_copied_is_looked_for_again(tmp_path, monkeypatch):
    for generation in (1, 2):
        made = tmp_path / f"{generation:04d}-0000000{generation}" / "work" / "checkpoints"
        made.mkdir(parents=True)
        (made / "step-00000001.ckpt").write_text(str(generation))
        os.utime(made / "step-00000001.ckpt", (3 - generation, 3 - generation))
    copied, gone = attempts.link_or_copy, []

    def removes_the_first(source, target):
        if not gone:
            gone.append(source)
            attempts.remove_tree(source.parents[2])
        copied(source, target)

    monkeypatch.setattr(attempts, "link_or_copy", removes_the_first)
    made, step = new_attempt(tmp_path, 3, SEGMENT)
    assert step == 1
    assert (made / "work" / "checkpoints" / "step-00000001.ckpt").read_text() == "2"
    assert [p.name for p in tmp_path.iterdir()] == [made.name]
