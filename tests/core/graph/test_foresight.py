"""What the stages above show is said before a stage runs, and as early as it is known."""

from types import SimpleNamespace

import pytest

from lmexp.core.graph.foresight import _above, foresee
from lmexp.core.running.executor import execute
from lmexp.core.values.settings import ExecutorConfig
from lmexp.errors import DataError

from ..conftest import Silent

THIRTEEN = {"count": 13, "offset": 13}


def test_a_stage_that_cannot_succeed_on_what_was_counted_is_not_started(plan_toy, store):
    observer = Silent()
    foresee(plan_toy(numbers=THIRTEEN), store, {})  # nothing is known yet
    with pytest.raises(DataError, match="13 numbers from 13 cannot be added"):
        execute(plan_toy(numbers=THIRTEEN), store, ExecutorConfig(), observer)
    assert list(observer.attempts) == ["numbers"]


def test_what_is_published_is_known_before_the_first_stage_runs(plan_toy, run_toy, store):
    run_toy(numbers=THIRTEEN, only=["numbers"])
    with pytest.raises(DataError, match="13 numbers from 13 cannot be added"):
        foresee(plan_toy(numbers=THIRTEEN), store, {})
    foresee(plan_toy(numbers=THIRTEEN, force=["numbers"]), store, {})  # it may count otherwise now
    foresee(plan_toy(numbers=THIRTEEN, only=["numbers"]), store, {})


def test_a_result_that_exists_is_not_asked_whether_it_can(plan_toy, toy, run_toy, store):
    check = toy.total.check_inputs
    object.__setattr__(toy.total, "check_inputs", None)
    try:
        run_toy(numbers=THIRTEEN)
    finally:
        object.__setattr__(toy.total, "check_inputs", check)
    foresee(plan_toy(numbers=THIRTEEN), store, {})
    assert run_toy(numbers=THIRTEEN)[0] == {"numbers": "reused", "total": "reused"}
    with pytest.raises(DataError):
        foresee(plan_toy(numbers=THIRTEEN, force=["total"]), store, {})


def test_what_stands_above_a_stage_is_found_in_a_graph_of_many_ways(toy, store):
    """A chain of 60 diamonds has 2 ** 60 ways from its end to its beginning."""
    order, by_name = [], {}

    def add(name, *inputs):
        by_name[name] = SimpleNamespace(name=name, inputs=dict(enumerate(inputs)))
        order.append(name)
        return name

    top = add("top")
    for index in range(60):
        sides = [add(f"{side}{index}", top) for side in ("left", "right")]
        top = add(f"join{index}", *sides)
    found = _above(SimpleNamespace(by_name=by_name), by_name[top])
    assert found == set(order) - {top}
