"""What one attempt at a stage takes over from the one before it."""

import datetime
import os

import pytest

from lmexp.core.store.attempt import end_segment, new_attempt
from lmexp.core.values.files import read_json

BEGAN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
SEGMENT = {"started": BEGAN.isoformat(timespec="milliseconds")}


def test_an_attempt_takes_over_the_newest_checkpoint_and_the_files_of_steps_up_to_it(tmp_path):
    first, step = new_attempt(tmp_path, 1, SEGMENT)
    assert step is None
    folder = first / "work" / "checkpoints"
    names = ["step-00000002.ckpt", "step-00000004.ckpt", "step-00000003.safetensors"]
    names += ["step-00000004.safetensors"]
    later = ["step-00000005.safetensors", "step-00000005.tmp", "step-00000003.tmp", "step-3.weights.tmp"]
    for name in (*names, *later, "other"):
        (folder / name).write_text(name)
    (first / "metrics.jsonl").write_text('{"step": 4}\n{"step": 5}\n')
    second, step = new_attempt(tmp_path, 2, SEGMENT)
    assert step == 4
    found = {path.name: path.read_text() for path in (second / "work" / "checkpoints").iterdir()}
    assert found == {name: name for name in names}
    assert (second / "metrics.jsonl").read_text() == '{"step": 4}\n'
    assert [path.name for path in tmp_path.iterdir()] == [second.name]


def test_a_stage_without_a_curve_has_none_after_it_was_taken_over(tmp_path):
    first, _ = new_attempt(tmp_path, 1, SEGMENT)
    (first / "work" / "checkpoints" / "step-2.ckpt").write_text("")
    second, step = new_attempt(tmp_path, 2, SEGMENT)
    assert step == 2
    assert not (second / "metrics.jsonl").exists(), "it would be a file of the artifact"


@pytest.mark.parametrize("killed", [True, False])
def test_the_time_of_earlier_segments_is_kept_and_of_a_killed_one_up_to_its_checkpoint(tmp_path, killed):
    first, _ = new_attempt(tmp_path, 1, SEGMENT)
    checkpoint = first / "work" / "checkpoints" / "step-00000002.ckpt"
    checkpoint.write_text("")
    written = BEGAN.timestamp() + 90
    os.utime(checkpoint, (written, written))
    if not killed:
        end_segment(first, seconds=100.0, cpu_seconds=180.0)
    second, _ = new_attempt(tmp_path, 2, SEGMENT)
    end_segment(second, seconds=5.0, cpu_seconds=4.0)
    segments = read_json(second / "segments.json")
    assert [s["seconds"] for s in segments] == [90.0 if killed else 100.0, 5.0]
    assert [s.get("cpu_seconds") for s in segments] == [None if killed else 180.0, 4.0]


@pytest.mark.parametrize("killed", [True, False])
def test_a_segment_says_what_its_process_chose_and_not_what_the_one_before_it_did(tmp_path, killed):
    first, _ = new_attempt(tmp_path, 1, SEGMENT)
    (first / "work" / "checkpoints" / "step-00000002.ckpt").write_text("")
    (first / "choices.jsonl").write_text('{"name": "compile", "choice": "on, since it pays"}\n{"na')
    if not killed:
        end_segment(first, seconds=100.0, cpu_seconds=180.0)
    second, _ = new_attempt(tmp_path, 2, SEGMENT)
    end_segment(second, seconds=5.0, cpu_seconds=4.0)
    before, last = read_json(second / "segments.json")
    assert before["choices"] == {"compile": "on, since it pays"}
    assert "choices" not in last
