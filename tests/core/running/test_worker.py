import errno
import signal

import pytest

from lmexp.core.graph.loading import load_file
from lmexp.core.graph.stage import Artifact, registered_stage, stage
from lmexp.core.running.worker import describe_exit
from lmexp.core.store.disk import is_disk_full
from lmexp.core.values.config import Config
from lmexp.errors import ConfigError

from ..conftest import TOY


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


def test_an_unknown_stage_is_refused_with_the_nearest_name():
    load_file(TOY)
    with pytest.raises(ConfigError, match=r"'toy_totl' is not a registered stage \(did you mean 'toy_total'"):
        registered_stage("toy_totl")


def test_two_stages_cannot_share_a_name():
    load_file(TOY)

    def other(run, config: Config): ...

    with pytest.raises(ConfigError, match="'toy_total' is already taken"):
        stage("toy_total", version=1, produces=Artifact)(other)
