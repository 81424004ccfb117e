"""Whether a training is compiled, as a pure function; and what a machine lacks."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.errors import ConfigError
from lmexp.training.compilation import rule
from lmexp.training.compilation.rule import COST_S, SAVED, choose, expected_saving_s, missing_compiler
from tests.training.pretrain_runs import tiny

NO_COMPILER = "no C++ compiler (g++)"


def chosen(asked="auto", *, kept=None, missing=None, precision="32-true", steps=12, device="cpu", flops=1e7):
    config = tiny(**{"trainer.compile": asked, "trainer.precision": precision, "trainer.max_steps": steps})
    return choose(config, device=device, flops_per_token=flops, has_blocks=True, missing=missing, kept=kept)


def test_the_saving_is_that_of_a_case_computed_by_hand():
    config = tiny(**{"trainer.precision": "32-true", "trainer.max_steps": 1000})
    # 1,000 steps of 12 rows of 8 tokens, 15 MFLOP each, at 72 GFLOP a second: 20 s, of which 0.16
    assert expected_saving_s(config, device="cpu", flops_per_token=15e6) == pytest.approx(20 * 0.16)
    halved = tiny(**{"trainer.precision": "32-true", "trainer.max_steps": 1000, "trainer.devices": 2})
    assert expected_saving_s(halved, device="cpu", flops_per_token=15e6) == pytest.approx(10 * 0.16)


@given(steps=st.integers(3, 10**6), flops=st.floats(1e3, 1e12), case=st.sampled_from(sorted(SAVED)))
def test_auto_compiles_just_where_the_saving_exceeds_the_cost_and_more_steps_never_undo_it(
    steps, flops, case
):
    device, precision = case
    few = chosen(steps=steps, flops=flops, device=device, precision=precision)
    config = tiny(**{"trainer.max_steps": steps, "trainer.precision": precision})
    saving = expected_saving_s(config, device=device, flops_per_token=flops)
    assert few.compiles == (saving > COST_S)
    assert chosen(steps=2 * steps, flops=flops, device=device, precision=precision).compiles >= few.compiles


def test_the_smallest_experiment_is_not_compiled_and_the_small_one_is():
    tiny_experiment, small_gpt = 100 * 8 * 128, 3300 * 4 * 256  # tokens
    per_step = 12 * 8
    assert not chosen(steps=tiny_experiment // per_step, flops=2e6).compiles
    assert chosen(steps=small_gpt // per_step, flops=14.2e6, precision="bf16-mixed").compiles


def test_auto_without_a_compiler_or_without_a_measurement_is_off_and_says_why():
    assert chosen(steps=10**6, missing=NO_COMPILER) == rule.Choice(
        compiles=False, why=f"there is {NO_COMPILER}"
    )
    double = chosen(steps=10**6, precision="64-true")
    assert not double.compiles
    assert double.why == "what it saves on cpu in 64-true was not measured"


@pytest.mark.parametrize("kept", [True, False])
def test_a_resumed_training_keeps_to_its_choice_whatever_the_rule_would_say(kept):
    assert chosen(steps=12, kept=kept).compiles == chosen(steps=10**6, kept=kept).compiles == kept
    assert chosen("on", kept=kept).compiles
    assert not chosen("off", kept=kept, missing=NO_COMPILER).compiles


def test_a_compiled_training_does_not_go_on_eager_without_being_told_to():
    with pytest.raises(ConfigError, match=r"began compiled.*no C\+\+ compiler.*trainer\.compile=off"):
        chosen(kept=True, missing=NO_COMPILER)
    assert not chosen(kept=False, missing=NO_COMPILER).compiles


@pytest.mark.parametrize("kept", [None, True, False])
def test_compiling_that_is_asked_for_without_a_compiler_is_refused(kept):
    with pytest.raises(ConfigError, match=r"^trainer\.compile=on needs a compiler.*trainer\.compile=off"):
        chosen("on", missing=NO_COMPILER, kept=kept)


@pytest.mark.skipif(sys.platform != "linux", reason="it names Linux's compiler")
def test_what_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing_compiler("cpu") == NO_COMPILER
    (tmp_path / "g++").write_text("#!/bin/sh\n")
    (tmp_path / "g++").chmod(0o755)
    monkeypatch.setattr(rule.sysconfig, "get_path", lambda _: str(tmp_path))
    assert missing_compiler("cpu") == "no Python.h (the headers of this Python)"
    (tmp_path / "Python.h").touch()
    assert missing_compiler("cpu") is None
    monkeypatch.setattr(rule.importlib.util, "find_spec", lambda _: None)
    assert missing_compiler("cuda") == "no triton"
