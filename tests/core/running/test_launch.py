"""How long a child that was asked to stop may take."""

import subprocess
import sys

import pytest

from lmexp.core.running.launch import _watch

CHILD = """
import pathlib, sys, time
attempt = pathlib.Path(sys.argv[1])
(attempt / "ready").touch()
while not (attempt / "stop").exists():
    time.sleep(0.01)
time.sleep(float(sys.argv[2]))
(attempt / "result.json").write_text('{"status": "stopped"}')
"""


@pytest.mark.parametrize(
    ("can_stop", "grace_s", "takes_s", "status"),
    [(True, 60.0, 0.5, "stopped"), (True, 0.3, 60.0, "killed"), (False, 60.0, 60.0, "killed")],
)
def test_a_child_has_its_grace_to_stop_if_it_can(tmp_path, can_stop, grace_s, takes_s, status):
    words = [sys.executable, "-c", CHILD, str(tmp_path), str(takes_s)]
    child = subprocess.Popen(words, start_new_session=True)

    def tick():
        return "stop" if (tmp_path / "ready").exists() else "go"

    outcome = _watch(child, tmp_path, can_stop=can_stop, grace_s=grace_s, tick=tick)
    assert outcome.status == status
    assert (tmp_path / "stop").exists()
    assert child.poll() is not None
