"""What the shell is told to complete."""

import shutil
import subprocess
import sys
from dataclasses import fields

import pytest

from lmexp import cli, run
from lmexp.generation.config import SamplingConfig
from lmexp.verbs import completion
from lmexp.verbs.table import VERBS


def query(line):
    return completion.query(line, {name: verb.options for name, verb in VERBS.items()})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("lmexp ", ["run", "plan", "why", "ls"]),
        ("lmexp ge", ["generate"]),
        ("lmexp gc --d", ["--downloads", "--delete"]),
        ("lmexp run --conf", ["--config-dir", "--config-name"]),
        ("lmexp run +experiment=tiny opt", ["optimizer=", "optimizer."]),
        ("lmexp plan model.num_l", ["model.num_layers="]),
        ("lmexp run tokenizer.v", ["tokenizer.vocab_size="]),
        ("lmexp why +experiment=ti", ["+experiment=tiny"]),
        ("lmexp run corpus/f", ["corpus/filters="]),
        ("lmexp completion f", ["fish"]),
        ("lmexp gc x", []),
    ],
)
def test_a_word_is_completed_up_to_its_next_part(line, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert query(line)[: len(expected) or None] == expected


def test_runs_are_completed_where_a_verb_takes_one(monkeypatch):
    monkeypatch.setattr(completion, "_runs", lambda: ["tiny-1", "known-2"])
    takes_runs = [name for name, verb in VERBS.items() if verb.about.lstrip("[").startswith("RUN")]
    assert {"show", "audit"} <= set(takes_runs)
    for verb in takes_runs:
        assert query(f"lmexp {verb} ") == ["last", "tiny-1", "known-2"]
        assert query(f"lmexp {verb} t") == ["tiny-1"]


def test_the_help_of_generate_names_every_key():
    (note,) = VERBS["generate"].notes
    assert note.removeprefix("KEY=VALUE: ").split(", ") == [field.name for field in fields(SamplingConfig)]


def test_scripts_are_printed_by_the_verb_and_by_hydras_option_and_an_unknown_shell_is_a_sentence(capsys):
    for shell, script in completion.SCRIPTS.items():
        assert cli.main(["completion", shell]) == 0
        assert capsys.readouterr().out == f"{script}\n"
        assert run.main(["--shell-completion", f"install={shell}"]) == 0
        assert capsys.readouterr().out == f"{script}\n"
    assert cli.main(["completion", "bsh"]) == 2
    assert "was 'bsh' (did you mean 'bash'?)" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_script_of_bash_completes_the_part_behind_an_equals_sign(tmp_path):
    lmexp = tmp_path / "lmexp"
    lmexp.write_text(f'#!/bin/sh\nexec {sys.executable} -m lmexp "$@"\n')
    lmexp.chmod(0o755)
    script = completion.SCRIPTS["bash"].replace("compopt", "true")
    line = "lmexp run +experiment=ti"
    asked = f'{script}\nCOMP_LINE="{line}" COMP_POINT={len(line)}\n_lmexp\necho "${{COMPREPLY[@]}}"'
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-c", asked], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout == "tiny\n"
