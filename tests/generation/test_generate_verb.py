"""`lmexp generate` takes every model, and its prompt as the shell gives it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import lmexp
from lmexp import cli
from lmexp.core.graph.compose import compose
from tests.stages.test_adopted_folders import model_folder

QUICKSTART = Path(__file__).parents[2] / "docs" / "quickstart.md"
WORDS = ["max_new_tokens=5", "temperature=0", "--prompt", "The cats"]


@pytest.mark.parametrize("family", ["gpt2", "llama3"])
def test_an_adopted_padded_model_is_continued_by_run_by_artifact_and_by_path(tmp_path, capsys, family):
    folder, store = model_folder(tmp_path / "a=model", family, padding=9), f"store={tmp_path / 'store'}"
    assert cli.main(["generate", str(folder), *WORDS]) == 0
    text = capsys.readouterr().out
    sampling = {"max_new_tokens": 5, "temperature": 0}
    model, tokenizer = lmexp.load_model(folder), lmexp.load_tokenizer(folder)
    assert lmexp.generate(model, tokenizer, "The cats", **sampling) + "\n" == text
    assert cli.main(["adopt", "model", str(folder), store]) == 0
    artifact = capsys.readouterr().out.splitlines()[0].removeprefix("adopted as ")
    for named in ("last", artifact, Path(artifact).name):
        assert cli.main(["generate", named, store, *WORDS]) == 0
        assert capsys.readouterr().out == text


def test_a_run_without_a_model_is_said(tmp_path, capsys):
    folder, store = model_folder(tmp_path / "model"), f"store={tmp_path / 'store'}"
    assert cli.main(["adopt", "tokenizer", str(folder), store]) == 0
    assert cli.main(["generate", "last", store]) == 2
    assert capsys.readouterr().err == "lmexp: run last has no model; see lmexp ls.\n"


def test_the_ways_to_write_a_line_end_that_the_page_shows_give_one():
    text = QUICKSTART.read_text(encoding="utf-8")
    (prompt,) = re.findall(r"lmexp generate last (--prompt \$.*)", text)
    (override,) = re.findall(r"`(\$'samples.prompts=.*)`", text)
    code = "import sys; sys.stdout.write(chr(0).join(sys.argv[1:]))"
    shown = subprocess.run(
        ["bash", "-c", f"{sys.executable} -c '{code}' {prompt} {override}"], capture_output=True, check=True
    )
    flag, given, word = shown.stdout.decode().split("\0")
    assert (flag, given) == ("--prompt", "def f():\n\treturn")
    composed = compose(["+experiment=tiny", word]).values["samples"]["prompts"]
    assert list(composed) == ["def f():\n", "import "]
