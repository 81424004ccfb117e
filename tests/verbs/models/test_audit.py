"""`lmexp audit` asks a model that exists, and its exit code says whether a check failed."""

import json

import pytest
import torch

from lmexp import cli
from lmexp.core.store.store import Store
from lmexp.models.families.recurrent.network import NETWORK
from tests.verbs.models.made import made

TEXT = "The 7 cats sit on mats.\n\nThe mats sit under 7 cats,\nand nobody moves.\n\n\n\nnaïve 中文\n"


@pytest.fixture
def model(tmp_path):
    (tmp_path / "texts.txt").write_text(TEXT)
    return made(tmp_path / "model", "gru")


def test_paragraphs_of_a_file_are_asked_about_and_an_adoptable_folder_has_no_lineage(model, capsys):
    words = ["audit", str(model), "--file", str(model.parent / "texts.txt")]
    assert cli.main([*words, "--json"]) == 0
    rows = {row["check"]: row for row in json.loads(capsys.readouterr().out)["checks"]}
    assert rows.pop("test_split")["verdict"] == "unknown"
    assert {row["verdict"] for row in rows.values()} == {"pass"}
    assert cli.main(words) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split() == ["check", "verdict", "found", "at", "most"]
    assert shown[-1] == "test_split: what made the model is not all known: model has no record."


def test_a_check_that_fails_is_the_exit_code(model, capsys, monkeypatch):
    plain = NETWORK.hidden_states

    def leaking(self, ids, **more):
        hidden = plain(self, ids, **more)
        return hidden + torch.roll(hidden, -1, dims=1)

    monkeypatch.setattr(NETWORK, "hidden_states", leaking)
    assert cli.main(["audit", str(model), "--file", str(model.parent / "texts.txt")]) == 1
    assert "a later token is seen." in " ".join(capsys.readouterr().out.split())


def test_a_model_of_a_run_is_asked_about_the_corpus_that_it_was_made_from(finished, capsys):
    store, run, _ = finished
    assert cli.main(["audit", run.name, f"store={store.root}", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model"] == str(run.artifact("pretrain"))
    assert {row["verdict"] for row in found["checks"]} == {"pass"}


def test_what_is_wrong_with_the_words_is_said(model, capsys, tmp_path):
    Store(tmp_path / "store").prepare()
    (tmp_path / "blank.txt").write_text("  \n\n \n")
    (tmp_path / "bytes.txt").write_bytes(b"a\xff")
    for words, said in (
        ([], "audit takes one RUN or the PATH of a model"),
        ([str(model)], "was made from 0 corpora of this store"),
        ([str(model), "--file", str(tmp_path / "none.txt")], "none.txt cannot be read (No such file"),
        ([str(model), "--file", str(tmp_path / "blank.txt")], "blank.txt holds no text; give a file of"),
        ([str(model), "--file", str(tmp_path / "bytes.txt")], "bytes.txt is not UTF-8 at byte 1; write"),
    ):
        assert cli.main(["audit", *words, f"store={tmp_path / 'store'}"]) == 2
        assert said in capsys.readouterr().err
