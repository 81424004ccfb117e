import errno
import signal

import pytest

from lmexp.core.graph.loading import load_file
from lmexp.core.graph.plan import make_plan
from lmexp.core.graph.stage import Artifact, registered_stage, stage
from lmexp.core.running.executor import execute
from lmexp.core.running.worker import describe_exit
from lmexp.core.store.disk import is_disk_full
from lmexp.core.values.config import Config, build
from lmexp.core.values.settings import ExecutorConfig
from lmexp.errors import ConfigError

from ..conftest import TOY, Silent


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "ended with exit code 1"),
        (-signal.SIGKILL, "was killed by SIGKILL (often the system was out of memory)"),
        (-signal.SIGSEGV, "was killed by SIGSEGV"),
        (-200, "was killed by signal 200"),
    ],
)
def test_how_a_process_ended_is_said_in_words(code, words):
    assert describe_exit(code) == words


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "no space"), True),
        (OSError(errno.ENOENT, "no file"), False),
        (RuntimeError("write failed: No space left on device"), True),
        (RuntimeError("I/O error (os error 28)"), True),
    ],
)
def test_a_full_disk_is_recognised_also_from_native_libraries(error, full):
    assert is_disk_full(error) is full


COUNTING = """
import gc

from lmexp.core.graph.stage import Artifact, stage
from lmexp.core.values.config import option
from lmexp.core.values.settings import RunConfig
from lmexp.core.values.config import Config


class CountingConfig(Config):
    size: int = option(300_000)


class CountingExperiment(RunConfig):
    counting: CountingConfig = option(CountingConfig())


@stage("counting", version=1, produces=Artifact)
def counting(run, config: CountingConfig):
    before = [generation["collections"] for generation in gc.get_stats()]
    kept = [[] for _ in range(config.size)]
    after = [generation["collections"] for generation in gc.get_stats()]
    return {"small": after[0] - before[0], "whole": after[2] - before[2], "kept": len(kept)}


def pipeline(config: CountingExperiment):
    return {"counting": counting(config.counting)}
"""


def test_a_stage_that_makes_many_objects_is_seldom_stopped_to_look_for_garbage(store, tmp_path):
    (tmp_path / "counting.py").write_text(COUNTING)
    module = load_file(tmp_path / "counting.py")
    plan = make_plan(module.pipeline(build(module.CountingExperiment, {})), store)
    metrics = execute(plan, store, ExecutorConfig(), Silent())["counting"].metrics
    assert metrics["kept"] == 300_000
    assert 1 <= metrics["small"] <= 7, "Python's own thresholds give hundreds"
    assert metrics["whole"] == 0


def test_an_unknown_stage_is_refused_with_the_nearest_name():
    load_file(TOY)
    with pytest.raises(ConfigError, match=r"'toy_totl' is not a registered stage \(did you mean 'toy_total'"):
        registered_stage("toy_totl")


def test_two_stages_cannot_share_a_name():
    load_file(TOY)

    def other(run, config: Config): ...

    with pytest.raises(ConfigError, match="'toy_total' is already taken"):
        stage("toy_total", version=1, produces=Artifact)(other)
