"""A Python file as its tree, its tokens and its lines, all by character offsets.

The tree and the tokenizer of the standard library count lines and columns, one of them in bytes of
UTF-8; edits want offsets into the text. Files that this Python cannot parse, and files with
carriage returns, whose lines the two count differently, are left out.
"""

import ast
import bisect
import functools
import io
import tokenize
import warnings
from dataclasses import dataclass

CONTEXT_CHARACTERS = 1000
"""Most characters of a file that stand before the edited line as context."""


@dataclass(frozen=True, slots=True)
class Token:
    """An operator, bracket or name of a file, by its character offsets."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a file: where each starts, and where each statement's last line ends."""

    text: str
    starts: list[int]
    logical_ends: list[int]

    def start_of(self, offset: int) -> int:
        """Return where the physical line that holds `offset` starts."""
        return self.starts[bisect.bisect_right(self.starts, offset) - 1]

    def end_of(self, offset: int) -> int:
        """Return where the physical line that holds `offset` ends, its line break excluded."""
        end = self.text.find("\n", offset)
        return len(self.text) if end < 0 else end

    def logical_end_of(self, offset: int) -> int:
        """Return where the statement that holds `offset` ends, its line break excluded."""
        i = bisect.bisect_left(self.logical_ends, offset)
        return self.logical_ends[i] if i < len(self.logical_ends) else len(self.text)

    def context_start(self, line_start: int) -> int:
        """Return where the visible context of the line at `line_start` begins, itself at a line."""
        return self.starts[bisect.bisect_left(self.starts, line_start - CONTEXT_CHARACTERS)]


@dataclass(frozen=True)
class ParsedFile:
    """A Python file with its tree and tokens, all positions as character offsets."""

    tree: ast.Module
    lines: Lines
    tokens: list[Token]

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Return the character offsets of a node (the tree counts columns in bytes of UTF-8)."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._offset(node.lineno, node.col_offset), self._offset(node.end_lineno, node.end_col_offset)

    def occurs(self, name: str, start: int, end: int) -> bool:
        """Return whether `name` stands in [start, end), other than after a dot."""
        starts = self._name_starts.get(name, [])
        i = bisect.bisect_left(starts, start)
        return i < len(starts) and starts[i] < end

    def _offset(self, line: int, column: int) -> int:
        start = self.lines.starts[line - 1]
        if self._is_ascii:
            return start + column
        return start + len(self.lines.text[start : start + column].encode()[:column].decode())

    @functools.cached_property
    def _is_ascii(self) -> bool:
        return self.lines.text.isascii()

    @functools.cached_property
    def token_starts(self) -> list[int]:
        """Start offset of each token, ascending."""
        return [token.start for token in self.tokens]

    @functools.cached_property
    def _name_starts(self) -> dict[str, list[int]]:
        starts: dict[str, list[int]] = {}
        previous = ""
        for token in self.tokens:
            if token.text.isidentifier() and previous != ".":
                starts.setdefault(token.text, []).append(token.start)
            previous = token.text
        return starts


def parse(text: str) -> ParsedFile | None:
    """Return the parsed file, or None for what this Python cannot parse (or has carriage returns)."""
    if "\r" in text:
        return None
    starts = [0]
    for line in text.split("\n")[:-1]:
        starts.append(starts[-1] + len(line) + 1)
    tokens: list[Token] = []
    logical_ends: list[int] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
        for kind, string, (row, column), _, _ in tokenize.generate_tokens(io.StringIO(text).readline):
            if kind in (tokenize.OP, tokenize.NAME):
                start = starts[row - 1] + column
                tokens.append(Token(start, start + len(string), string))
            elif kind == tokenize.NEWLINE:
                logical_ends.append(starts[row - 1] + column)
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError):
        return None
    return ParsedFile(tree, Lines(text, starts, logical_ends), tokens)
