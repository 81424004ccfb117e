"""Whatever is wrong with streams, words or the directory: one sentence, an exit code, no traceback."""

import errno
import subprocess
import sys

import pytest

from lmexp.core.running.entry import command_line, expected
from lmexp.errors import DataError, LeaseLost, StoreError

LS = [sys.executable, "-m", "lmexp.cli", "ls"]


def shell(cwd, line, *words, **variables):
    """Run words by a shell, which can close streams; return the code and what reached a stream."""
    command = f'cd "$1"; shift; {line}'
    done = subprocess.run(
        ["bash", "-c", command, "bash", cwd, *words],
        capture_output=True,
        env={"PATH": "/usr/bin:/bin", **variables},
        timeout=60,
    )
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    assert said.count("lmexp: ") <= 1
    return done.returncode, said


NO_STORE = "lmexp: there is no store at "


@pytest.mark.parametrize(
    ("line", "code", "start"),
    [
        ('"$@" >&-', 2, NO_STORE),
        ('"$@" 2>&-', 2, ""),
        ('"$@" <&- >&- 2>&-', 2, ""),
        ('"$@" --help > /dev/full', 1, "lmexp: standard output: No space left on device."),
        ('"$@" --help 2>&1 | head -0; exit "${PIPESTATUS[0]}"', 0, ""),
        ('PYTHONIOENCODING=latin-1 "$@" store=é—', 2, NO_STORE),
        ('LC_ALL=C "$@" store=é—', 2, NO_STORE),
        (
            'LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 "$@"',
            2,
            "lmexp: Python reads the names of files as ascii",
        ),
        ("\"$@\" $'a\\xff'", 2, "lmexp: the word 'a\\udcff' is not UTF-8"),
        ('mkdir gone; cd gone; rmdir ../gone; "$@"', 2, "lmexp: the current directory is gone"),
        ("mkdir $'a\\xff'; cd $'a\\xff'; \"$@\"", 2, "lmexp: the current directory's name "),
        ("LMEXP_STORE=$'a\\xff' \"$@\"", 2, "lmexp: there is no store at "),
    ],
)
def test_odd_streams_words_and_directories_end_in_a_sentence(tmp_path, line, code, start):
    found, said = shell(tmp_path, line, *LS)
    assert found == code, said
    assert said.startswith(start)
    assert said.count("\n") <= 1
    assert said == "" or start != ""


def test_a_worker_without_streams_still_leaves_with_its_code(tmp_path):
    worker = [sys.executable, "-m", "lmexp.core.running.worker"]
    assert shell(tmp_path, '"$@" none <&- >&- 2>&-', *worker) == (2, "")


def test_the_worker_refuses_what_is_no_spec(tmp_path):
    from lmexp.core.running.worker import _read_spec
    from lmexp.errors import ConfigError

    (tmp_path / "deep.json").write_text("[" * 200_000)
    (tmp_path / "odd.json").write_text("[1]")
    cases = {
        (): "takes the path of one spec",
        ("none",): r"none cannot be read \(No such file or directory\)",
        (str(tmp_path),): r"cannot be read \(Is a directory\)",
        (str(tmp_path / "deep.json"),): r"is not JSON \(it is nested too deeply\)",
        (str(tmp_path / "odd.json"),): "must be an object with stage, provider",
    }
    for words, sentence in cases.items():
        with pytest.raises(ConfigError, match=sentence):
            _read_spec(words)


def raising(error):
    def function(_words):
        raise error

    return function


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (
            RecursionError(),
            2,
            "lmexp: the input is nested too deeply to be read; write it with fewer levels.",
        ),
        (
            UnicodeEncodeError("utf-8", "corpus/a\udcff.txt", 8, 9, "surrogates not allowed"),
            2,
            "lmexp: 'corpus/a\\udcff.txt' is not UTF-8; write or name it in UTF-8.",
        ),
        (
            OSError(errno.EACCES, "Permission denied", "a\x1b[31m"),
            1,
            "lmexp: a\\u001b[31m: Permission denied.",
        ),
        (OSError("odd"), 1, "lmexp: odd."),
        (DataError("no \rrow."), 2, "lmexp: no \\u000drow."),
        (LeaseLost("gone."), 1, "lmexp: gone."),
        (KeyboardInterrupt(), 75, ""),
        (BrokenPipeError(), 0, ""),
        (SystemExit(3), 3, ""),
        (SystemExit(), 0, ""),
        (SystemExit("no"), 1, ""),
    ],
)
def test_each_kind_of_trouble_has_its_sentence_and_code(capsys, error, code, sentence):
    assert command_line(raising(error), ["a"]) == code
    assert capsys.readouterr().err.rstrip("\n") == sentence


@pytest.mark.parametrize(
    "error",
    [ValueError("a fault"), KeyError("a"), UnicodeEncodeError("ascii", "é", 0, 1, "ordinal not in range")],
)
def test_a_fault_of_lmexp_keeps_its_traceback(error):
    with pytest.raises(type(error)):
        command_line(raising(error), [])


def test_what_is_expected_is_the_error_of_the_kind():
    assert type(expected(OSError(errno.ENOSPC, "full"))) is StoreError
    assert type(expected(RecursionError())) is DataError
