import os

import pytest

from lmexp.core.graph.plan import differences, spelled
from lmexp.core.running.console import plan_lines
from lmexp.core.store.attempt import new_attempt
from lmexp.core.store.lease import Waiter
from lmexp.core.store.record import RECORD
from lmexp.core.values.sealed import write_sealed
from lmexp.errors import ConfigError


def actions(plan, store):
    return {name: verdict.action for name, verdict in plan.verdicts(store).items()}


def test_an_empty_store_runs_everything_and_a_full_one_reuses_everything(plan_toy, run_toy, store):
    assert actions(plan_toy(), store) == {"numbers": "run", "total": "run"}
    run_toy()
    assert actions(plan_toy(), store) == {"numbers": "reuse", "total": "reuse"}


def test_the_reason_to_run_is_the_field_that_differs_from_the_nearest_artifact(plan_toy, run_toy, store):
    run_toy(numbers={"count": 3, "offset": 2}, total={"power": 2})
    run_toy(numbers={"count": 5})
    verdicts = plan_toy(numbers={"count": 6}).verdicts(store)
    assert verdicts["numbers"].reason.startswith("numbers.count 5 -> 6 (nearest: toy_numbers-")
    assert verdicts["total"].reason == "follows numbers"


def test_a_first_run_is_new_and_what_only_follows_another_stage_says_so(plan_toy, run_toy, store):
    assert [v.reason for v in plan_toy().verdicts(store).values()] == ["new", "new"]
    run_toy()
    lines = plan_lines(plan_toy(numbers={"count": 6}), plan_toy(numbers={"count": 6}).verdicts(store), {})
    assert [line.split()[:3] for line in lines] == [
        ["numbers", "run", "numbers.count"],
        ["total", "run", "follows"],
    ]
    assert lines[1].endswith("follows numbers")


def test_an_input_that_is_published_but_was_not_used_before_is_new_to_a_stage(plan_toy, run_toy, store):
    run_toy()
    run_toy(numbers={"count": 6}, only=["numbers"])
    assert plan_toy(numbers={"count": 6}).verdicts(store)["total"].reason == "new with this numbers"


def test_the_nearest_artifact_is_the_one_that_differs_least_and_not_the_newest(plan_toy, run_toy, store):
    run_toy(numbers={"count": 5}, only=["numbers"])
    run_toy(numbers={"count": 7, "offset": 3}, only=["numbers"])
    reason = plan_toy(numbers={"count": 6}).verdicts(store)["numbers"].reason
    assert reason.startswith("numbers.count 5 -> 6 (")


def test_a_field_of_its_own_is_the_reason_before_another_input(plan_toy, run_toy, store):
    run_toy()
    reason = plan_toy(numbers={"count": 6}, total={"power": 2}).verdicts(store)["total"].reason
    assert reason.startswith("total.power 1 -> 2 (nearest: power-1-")


def test_a_reason_names_three_fields_and_counts_the_others(plan_toy, run_toy, store, toy):
    _, records = run_toy()
    record = records["numbers"]
    record.data["identity"] |= {f"old_{i}": i for i in range(4)}
    write_sealed(record.path / RECORD, record.data)
    reason = plan_toy(numbers={"count": 6}).verdicts(store)["numbers"].reason
    assert reason.startswith(
        "numbers.count 5 -> 6; numbers.old_0 0 -> (none); numbers.old_1 1 -> (none); 2 more ("
    )


def test_the_nearest_is_looked_for_among_the_newest_records_alone(plan_toy, run_toy, store, monkeypatch):
    monkeypatch.setattr("lmexp.core.graph.plan._COMPARED", 2)
    for age, count in enumerate((4, 5, 20)):
        record = run_toy(numbers={"count": count}, only=["numbers"])[1]["numbers"]
        os.utime(record.path, (1e9 + age, 1e9 + age))
    reason = plan_toy(numbers={"count": 4, "offset": 1}).verdicts(store)["numbers"].reason
    assert reason.startswith("numbers.count 20 -> 4; numbers.offset 0 -> 1 (")


def test_a_change_below_re_runs_nothing_above(plan_toy, run_toy, store):
    run_toy()
    assert actions(plan_toy(total={"power": 2}), store) == {"numbers": "reuse", "total": "run"}


def test_placement_changes_no_fingerprint(plan_toy):
    a, b = plan_toy(), plan_toy(numbers={"sleep_s": 1.0}, executor={"threads": 2}, tracking={"mode": "off"})
    assert [s.fingerprint for s in a.stages] == [s.fingerprint for s in b.stages]


def test_a_stage_that_another_process_computes_is_waited_for(plan_toy, store):
    plan = plan_toy()
    lease = Waiter(store.leases(plan.stages[0].fingerprint), 30).try_acquire()
    assert actions(plan, store) == {"numbers": "wait", "total": "run"}
    lease.release()
    assert actions(plan, store) == {"numbers": "run", "total": "run"}


def test_a_stage_with_a_checkpoint_is_resumed(plan_toy, store):
    plan = plan_toy()
    attempt, _ = new_attempt(store.scratch(plan.stages[1].fingerprint), 1, {})
    (attempt / "work" / "checkpoints" / "step-00000003.ckpt").write_text("[3, 3]")
    verdict = plan.verdicts(store)["total"]
    assert (verdict.action, verdict.reason) == ("resume", "continues from step 3")


def test_only_leaves_out_what_the_named_stages_do_not_need(plan_toy):
    assert [s.name for s in plan_toy(only=["numbers"]).stages] == ["numbers"]
    assert [s.name for s in plan_toy(only=["total"]).stages] == ["numbers", "total"]


@pytest.mark.parametrize("option", ["force", "only"])
def test_an_unknown_stage_name_is_refused_with_the_nearest(plan_toy, option):
    with pytest.raises(ConfigError, match=r"'totl'.*did you mean 'total'"):
        plan_toy(**{option: ["totl"]})


def test_a_wrong_wire_is_found_when_the_handle_is_made(toy):
    values = toy.numbers(toy.NumbersConfig())
    added = toy.total(toy.SumConfig(), numbers=values)
    with pytest.raises(TypeError, match="must be a Numbers, was Total"):
        toy.total(toy.SumConfig(), numbers=added)
    with pytest.raises(TypeError, match=r"no input 'number' \(did you mean 'numbers'"):
        toy.total(toy.SumConfig(), number=values)
    with pytest.raises(TypeError, match="needs the input 'numbers'"):
        toy.total(toy.SumConfig())


def test_values_are_spelled_as_an_override_would_and_shortened():
    values = [None, True, "none", "null", [1, 2], 0.5]
    assert [spelled(v) for v in values] == ["null", "true", "none", "'null'", "[1, 2]", "0.5"]
    assert len(spelled({f"key{i}": i for i in range(100)})) == 60


def test_differences_name_leaves_with_dots():
    old = {"a": {"b": 1, "c": 2}, "d": 3}
    new = {"a": {"b": 1, "c": 4}, "e": 5}
    expected = [("a.c", 2, 4), ("d", 3, "(none)"), ("e", "(none)", 5)]
    assert differences(old, new) == expected
