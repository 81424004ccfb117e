"""The exceptions of lmexp, and the exit code that each one becomes.

    LmexpError                    anything that lmexp itself reports       exit 1
    ├── UserError                 the user's input                         exit 2
    │   ├── ConfigError           a key, a value, a name or a combination
    │   └── DataError             a file, a corpus or a task that cannot be used
    ├── StageError                a stage failed while it ran              exit 1
    │   └── Diverged              a training is no longer finite, and the same command fails again
    ├── StoreError                the store cannot be written or read      exit 1
    │   └── VerificationError     a published file is not what was published
    ├── LeaseLost                 another process took the stage over      exit 1
    └── Interrupted               stopped on request; the same command     exit 75
                                  resumes (75 is EX_TEMPFAIL of sysexits.h)

A message is one sentence: the value, what was expected, the likely cause and the remedy.
Users see that sentence and no traceback.
"""

import difflib
from collections.abc import Iterable


class LmexpError(Exception):
    """Base of everything that lmexp raises on purpose."""

    exit_code = 1


class UserError(LmexpError):
    """The input cannot be used as given; nothing was published."""

    exit_code = 2


class ConfigError(UserError):
    """A configuration key, value, name or combination is not valid."""


class DataError(UserError):
    """Input data is missing, empty or malformed."""


class StageError(LmexpError):
    """A stage failed while it ran."""


class Diverged(StageError):
    """A training is no longer finite; the same command would go on to the same failure."""


class StoreError(LmexpError):
    """The store cannot be written or read."""


class VerificationError(StoreError):
    """A file of a published artifact is missing, truncated or altered."""


class LeaseLost(LmexpError):
    """Another process took over the stage that this one was computing."""


class Interrupted(LmexpError):
    """The run was asked to stop and can be resumed by the same command."""

    exit_code = 75


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the closest valid name, or an empty string."""
    matches = difflib.get_close_matches(str(name), [str(v) for v in valid], n=1, cutoff=0.6)
    return f" (did you mean {matches[0]!r}?)" if matches else ""
