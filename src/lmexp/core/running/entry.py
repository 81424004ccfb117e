"""The one guarded entry of every command line: whatever goes wrong ends in one sentence and an exit code.

`command_line` gives a process streams that cannot break it, and refuses what no command can work with: words
and directories whose names are not UTF-8, a current directory that is gone. `expected` says which
exceptions are about the user's input or machine, and which are faults of lmexp, whose traceback is wanted.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Sequence

from lmexp.core.values.terminal import flush_output, printable, use_safe_streams
from lmexp.errors import ConfigError, DataError, LmexpError, StoreError

INTERRUPTED = 75


def command_line(function: Callable[[list[str]], int], argv: Sequence[str] | None) -> int:
    """Run a command's function with its words and return the exit code.

    `argv` is None where the command line is this whole process's, whose streams are then made safe.
    """
    if argv is not None:
        return _in_sentences(lambda: _code_of(lambda: function(list(argv))))
    use_safe_streams()

    def own() -> int:
        _require_names()
        code = _code_of(lambda: function(sys.argv[1:]))
        with contextlib.suppress(BrokenPipeError):  # nobody reads, the code holds all the same
            flush_output()
        return code

    code = _in_sentences(own)
    with contextlib.suppress(OSError):  # it was said
        flush_output()
    return code


def _code_of(function: Callable[[], int]) -> int:
    """Return the function's exit code; argparse and Hydra leave by `SystemExit`."""
    try:
        return function()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)


def _in_sentences(function: Callable[[], int]) -> int:
    try:
        return function()
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        said = expected(error)
        sys.stderr.write(f"lmexp: {printable(str(said))}\n")
        return said.exit_code


def expected(error: Exception) -> LmexpError:
    """Return the error to report for what the user's input or machine can cause; else raise it again."""
    if isinstance(error, LmexpError):
        return error
    if isinstance(error, RecursionError):
        return DataError("the input is nested too deeply to be read; write it with fewer levels.")
    if isinstance(error, UnicodeEncodeError) and (half := _half_character(error.object)):
        return DataError(f"{half} is not UTF-8; write or name it in UTF-8.")
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return StoreError(f"{where}{error.strerror or error}.")
    raise error


def _require_names() -> None:
    """Raise `ConfigError` where names of files cannot be read or written down."""
    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8":
        raise ConfigError(f"Python reads the names of files as {encoding} here; set PYTHONUTF8=1.")
    for word in sys.argv[1:]:
        if half := _half_character(word):
            raise ConfigError(f"the word {half} is not UTF-8; write it, or name the file, in UTF-8.")
    try:
        here = os.getcwd()
    except FileNotFoundError:
        raise ConfigError("the current directory is gone; go to one that exists (cd).") from None
    if half := _half_character(here):
        raise ConfigError(f"the current directory's name {half} is not UTF-8; go to one whose name is.")


def _half_character(text: str) -> str:
    """Return the text, short and readable, where it cannot be encoded; nothing where it can be.

    Python reads a byte of a name that is not UTF-8 as half a surrogate pair; JSON can spell one too.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return repr(text[max(0, error.start - 60) : error.start + 20])
    return ""
