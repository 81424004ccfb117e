"""What is printed: text that cannot steer a terminal, through streams that cannot break a command.

A file name, a message of a library or a model's text may hold escape sequences, carriage returns or
characters that reverse the direction of writing; on a screen they would hide or forge lines. They are
shown as ``\\uXXXX``, which JSON reads back as what it stood for.

The standard streams of a process may be closed, full, cut off by their reader, or of an encoding that lacks
a character. Closed ones lead nowhere. What an encoding lacks is shown as an escape. Standard error never
fails; standard output fails as a file of that name does.
"""

import contextlib
import io
import os
import re
import sys
import unicodedata
from typing import Any, TextIO

STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls but tab and line feed
    "\u2028\u2029\u202a-\u202e\u2066-\u2069"  # other line ends, and what overrides the direction of writing
    "\ud800-\udfff]"  # bytes of a file name that are not UTF-8
)
_ERASE_LINE = "\r\x1b[K"


def printable(text: str) -> str:
    """Return `text` with every character that could steer a terminal written as ``\\uXXXX``."""
    return STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def erase_line(stream: TextIO) -> None:
    """Move a terminal's cursor to the start of its line and erase the line."""
    _steer(stream, _ERASE_LINE)


def write_on_color(stream: TextIO, text: str, color: int) -> None:
    """Write `text` in black on one of the 256 colors of a terminal, 0 to 255."""
    _steer(stream, f"\x1b[30;48;5;{color}m")
    stream.write(text)
    _steer(stream, "\x1b[0m")


def takes_color(stream: TextIO) -> bool:
    """Say whether `stream` is a terminal whose user has not set NO_COLOR (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width_of(text: str) -> int:
    """Return the columns of a terminal that `text` takes: 2 for a wide character, 0 for a mark on one."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def _steer(stream: TextIO, sequence: str) -> None:
    """Write what lmexp itself steers a terminal with."""
    if isinstance(stream, SafeStream):
        stream.write_unchanged(sequence)
    else:
        stream.write(sequence)


class SafeStream(io.TextIOWrapper):
    """A text stream on a descriptor that writes `printable` text, whatever its encoding."""

    def write(self, text: str) -> int:
        """Write the text with what could steer a terminal escaped."""
        return super().write(printable(text))

    def write_unchanged(self, text: str) -> int:
        """Write what lmexp itself steers a terminal with."""
        return super().write(text)


class _Descriptor(io.RawIOBase):
    """Writes to a file descriptor, which stays open."""

    def __init__(self, descriptor: int, *, name: str, may_fail: bool) -> None:
        self._descriptor = descriptor
        self._name = name
        self._may_fail = may_fail

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        try:
            return os.write(self._descriptor, data)
        except OSError as error:
            if self._may_fail:
                raise OSError(error.errno, error.strerror, self._name) from None
            return memoryview(data).nbytes


def open_closed_streams() -> None:
    """Let standard streams that were closed lead nowhere, so that no other file takes their numbers."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - open until the end
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def use_safe_streams() -> None:
    """Replace this process's standard output and standard error by streams that are safe."""
    open_closed_streams()
    sys.stdout = _safe(sys.stdout, 1, "standard output", may_fail=True)
    sys.stderr = _safe(sys.stderr, 2, "standard error", may_fail=False)


def _safe(stream: TextIO, descriptor: int, name: str, *, may_fail: bool) -> SafeStream:
    with contextlib.suppress(OSError):
        stream.flush()
    return SafeStream(
        io.BufferedWriter(_Descriptor(descriptor, name=name, may_fail=may_fail)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=not may_fail or os.isatty(descriptor),
    )


def flush_output() -> None:
    """Write what standard output still holds. Errors: `OSError`, after which the rest leads nowhere."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
        raise
