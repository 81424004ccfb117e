"""Odd words, unknown names and stores that are not there: one sentence with the nearest name."""

import json
import re

import pytest

from lmexp import cli
from lmexp.core.store.store import Store
from lmexp.core.values.spelling import override


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store with one run, and one beside it, in the current directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("outputs", "it's mine"):
        Store(tmp_path / name).prepare()
    run = tmp_path / "outputs" / "runs" / "tiny-12345678"
    run.mkdir(parents=True)
    data = {"run": run.name, "experiment": "tiny", "status": "done", "started": "2026", "group": "tiny"}
    data |= {"stages": {}, "planned": {}, "process": {}, "metrics": {}, "config": {}, "finished": "2026"}
    (run / "run.json").write_text(json.dumps(data))
    return tmp_path


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["ls", "foo"], "'foo' is not expected here; only store=PATH is."),
        (["ls", "stor=x"], "stor= is not expected here (did you mean 'store'?)."),
        (["gc", "sotre=x"], "sotre= is not expected here (did you mean 'store'?)."),
        (["sync", "timeout=3"], "timeout= is not expected here (did you mean 'timeout_s'?)."),
        (
            ["ls", "store=output"],
            "there is no store at {here}/output (did you mean 'outputs'?); give the right one",
        ),
        (["ls", "store="], "store= names no directory; write store=PATH."),
        (["show"], "show takes one RUN or ARTIFACT; see lmexp ls."),
        (["lss"], "'lss' is not a verb (did you mean 'ls'?); known: run, plan,"),
        (["runn", "+experiment=tiny"], "'runn' is not a verb (did you mean 'run'?)"),
        (["verify", "--jsn"], "--jsn is not an option (did you mean '--json'?); see --help."),
        (["ls", "--delete"], "--delete is not an option; see --help."),
        (
            ["adopt", "modl", "x"],
            "adopt takes one of model, tokenizer, corpus, was given 'modl' (did you mean",
        ),
    ],
)
def test_a_mistyped_word_is_one_sentence(store, words, sentence, capsys):
    assert cli.main(words) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"lmexp: {sentence.format(here=store)}"), err
    assert err.count("\n") == 1


def test_a_store_is_named_as_it_is_or_as_commands_spell_it(store, capsys):
    for word in (
        "store=it's mine",
        override("store", "it's mine"),
        override("store", str(store / "it's mine")),
    ):
        assert cli.main(["ls", word, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["store"] == str(store / "it's mine")


@pytest.mark.parametrize("verb", [*(v for v in cli.VERBS if v != "completion")])
def test_each_verb_says_what_it_takes(verb, capsys):
    assert cli.main([verb, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: lmexp {verb} ")
    for option in cli.VERBS[verb].options:
        assert option in out
    unasked = {option for other in cli.VERBS.values() for option in other.options} - set(
        cli.VERBS[verb].options
    )
    assert not unasked & set(re.findall(r"^ +(--[\w-]+)", out, flags=re.MULTILINE))
