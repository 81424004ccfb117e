"""Every command of the course runs, page after page on one store, and prints what its page says."""

import doctest
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmexp import cli

COURSE = Path(__file__).parents[1] / "docs" / "course"


def pages() -> list[Path]:
    """Return the pages in the order in which the first one names them."""
    index = (COURSE / "README.md").read_text(encoding="utf-8")
    return [COURSE / name for name in re.findall(r"^\| \[[^]]+\]\((\w+\.md)\)", index, flags=re.MULTILINE)]


def blocks(page: Path) -> Iterator[tuple[str, str, int]]:
    """Yield the language, the text and the first line's number of each fenced block that is to be run."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```(console|pycon)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE):
        yield found[1], found[2], text[: found.start()].count("\n") + 2


def commands(block: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield each command of a block with what it reads from the page, and the lines that it must print."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *lines = part.splitlines()
        text = ""
        if command.endswith("<<'END'"):
            end = lines.index("END")
            text, lines = "".join(f"{line}\n" for line in lines[:end]), lines[end + 1 :]
        yield command, text, lines


def run(command: str, text: str, capfd) -> str:
    """Do what a shell does with a command and return what it prints: the few that the pages use."""
    name, *words = shlex.split(command.partition("<<")[0])
    if name == "mkdir":
        Path(words[-1]).mkdir(parents=True, exist_ok=True)
        return ""
    if name == "cat":
        Path(words[-1]).write_text(text, encoding="utf-8")
        return ""
    assert name == "lmexp", command
    capfd.readouterr()
    code = cli.main(words)
    out, err = capfd.readouterr()
    assert code == 0, err
    return out


def matches(expected: list[str], found: list[str]) -> bool:
    """Say whether lines are as expected: a line `...` is any lines, and at a line's end any rest of it."""
    if not expected or not found:
        return all(line == "..." for line in expected) and not found
    head, *rest = expected
    if head == "...":
        return any(matches(rest, found[i:]) for i in range(len(found) + 1))
    same = found[0].startswith(head[:-3]) if head.endswith("...") else found[0] == head
    return same and matches(rest, found[1:])


def test_the_matcher_tells_lines_apart():
    assert matches(["a", "...", "c"], ["a", "b", "b", "c"])
    assert matches(["a ..."], ["a bc"])
    assert not matches(["a"], ["a", "b"])
    assert not matches(["a", "b"], ["a"])
    assert not matches(["b..."], ["ab"])


def test_the_index_names_every_page():
    assert {*pages(), COURSE / "README.md"} == set(COURSE.glob("*.md"))


def test_each_command_of_the_course_prints_what_its_page_says(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for page in pages():
        scope: dict[str, object] = {}
        for language, block, line in blocks(page):
            where = f"{page.name}:{line}"
            if language == "pycon":
                examples = doctest.DocTestParser().get_doctest(block, scope, where, str(page), line)
                failures: list[str] = []
                runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
                runner.run(examples, out=failures.append, clear_globs=False)
                scope = examples.globs
                assert not runner.failures, "".join(failures)
                continue
            for command, text, expected in commands(block):
                found = run(command, text, capfd).splitlines()
                if not matches(expected, found):
                    pytest.fail(f"{where}: {command}\n" + "\n".join(found))
