import io
import json
import os
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.core.values import terminal
from lmexp.core.values.terminal import SafeStream, erase_line, printable


def test_what_steers_a_terminal_is_written_out():
    assert printable("\x1b[31mred\x1b[0m") == "\\u001b[31mred\\u001b[0m"
    assert printable("kept\rforged") == "kept\\u000dforged"
    assert printable("\x9b2J\x07 \u202egpj.exe \udcff") == "\\u009b2J\\u0007 \\u202egpj.exe \\udcff"
    assert printable("tab\tand line\nend, é, 日本, 👍🏽, עברית") == "tab\tand line\nend, é, 日本, 👍🏽, עברית"


def test_each_character_at_the_ends_of_its_range_is_written_out():
    steering = "\x00\x08\x0b\x1f\x7f\x9f\u2028\u2029\u202a\u202e\u2066\u2069\ud800\udfff"
    assert printable(steering) == "".join(f"\\u{ord(c):04x}" for c in steering)
    assert printable("\t\n\x20\x7e\xa0\u2027\u202f\u2065\u206a") == "\t\n\x20\x7e\xa0\u2027\u202f\u2065\u206a"


@given(st.text())
def test_no_control_character_is_left_and_json_still_reads_the_same(text):
    shown = printable(text)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") and c not in "\t\n"]
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    dumped = json.dumps([text], ensure_ascii=False)
    assert json.loads(printable(dumped)) == [text]


def stream(encoding="utf-8", path=None, *, may_fail=True):
    raw = terminal._Descriptor(os.open(path, os.O_WRONLY), name="standard output", may_fail=may_fail)
    return SafeStream(
        io.BufferedWriter(raw), encoding=encoding, errors="backslashreplace", line_buffering=True
    )


def test_a_character_that_the_encoding_lacks_is_written_out(tmp_path):
    path = tmp_path / "out"
    path.touch()
    with stream("latin-1", path) as out:
        print("é — \x1b", file=out)
    assert path.read_bytes() == b"\xe9 \\u2014 \\u001b\n"


def test_only_lmexp_itself_erases_a_line(tmp_path):
    path = tmp_path / "out"
    path.touch()
    with stream("utf-8", path) as out:
        erase_line(out)
        out.write("\r\x1b[K\n")
    assert path.read_bytes() == b"\r\x1b[K\\u000d\\u001b[K\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_standard_output_fails_by_its_name_and_standard_error_never():
    with pytest.raises(OSError, match="No space left on device") as error:
        stream("utf-8", "/dev/full").write("x\n")
    assert error.value.filename == "standard output"
    assert stream("utf-8", "/dev/full", may_fail=False).write("x\n") == 2


def test_erasing_a_line_of_another_stream_writes_to_it(monkeypatch):
    other = io.StringIO()
    monkeypatch.setattr(sys, "stderr", other)
    erase_line(sys.stderr)
    assert other.getvalue() == "\r\x1b[K"
