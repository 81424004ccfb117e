import importlib
import json
import re
import shutil
import subprocess
import sys

import pytest

from lmexp import cli
from lmexp.core.records.runs import find_run
from lmexp.core.store.store import Store


@pytest.fixture
def lmexp(finished, capsys):
    store, _, _ = finished

    def call(*words):
        code = cli.main([*words, f"store={store.root}"])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_help_and_ls_import_nothing_heavy(finished):
    code = "import sys; from lmexp.cli import main; main(sys.argv[1:]); print(sorted(sys.modules))"
    for words in (["--help"], ["ls", f"store={finished[0].root}"]):
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
        modules = done.stdout.splitlines()[-1] if words[0] == "ls" else ""
        assert done.returncode == 0, done.stderr
        for heavy in ("'torch'", "'numpy'", "'hydra'", "'wandb'", "'pyarrow'"):
            assert heavy not in modules


def test_ls_lists_runs_and_artifacts(lmexp, finished):
    _, run, _ = finished
    code, out, _ = lmexp("ls", "--json")
    listed = json.loads(out)
    assert code == 0
    assert run.name in [r["run"] for r in listed["runs"]]
    assert {a["stage"] for a in listed["artifacts"]} >= {entry["stage"] for entry in run.stages.values()}


@pytest.mark.parametrize("name", ["last", "tiny-", None])
def test_show_takes_a_prefix_or_last_and_prints_the_record(lmexp, finished, name):
    _, run, _ = finished
    code, out, _ = lmexp("show", name or run.name, "--json")
    assert code == 0
    assert json.loads(out)["run"] == run.name


def test_show_prints_the_record_of_an_artifact(lmexp, finished):
    entry = finished[1].stages["tokenizer"]
    for word in (entry["artifact"], entry["fingerprint"], entry["fingerprint"][:12]):
        code, out, _ = lmexp("show", word)
        assert code == 0
        assert json.loads(out)["fingerprint"] == entry["fingerprint"]


def test_an_unknown_run_or_verb_names_the_nearest(lmexp, finished):
    name = finished[1].name
    code, _, err = lmexp("show", f"{name}x")
    assert (code, f"did you mean {name!r}" in err) == (2, True)
    code, _, err = lmexp("verfy")
    assert (code, "did you mean 'verify'" in err) == (2, True)


def test_plan_prints_reuse_for_a_finished_run(finished, small, capsys):
    store, run, _ = finished
    assert cli.main(["plan", *small, f"store={store.root}", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["run"] == run.name
    assert {s["action"] for s in plan["stages"].values()} == {"reuse"}


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("prompts.num_fewshot=[0,1]", "prompts.num_fewshot [0] -> [0, 1]: re-runs prompts"),
        ("trainer.devices=2", "trainer.devices 1 -> 2: no result depends on it, re-runs nothing"),
        (
            "tokenizer.vocab_size=300",
            "tokenizer.vocab_size 512 -> 300: re-runs tokenizer, packing, pretrain, perplexity, baseline, "
            "prompts, samples",
        ),
    ],
)
def test_why_says_in_one_line_what_a_key_re_runs(finished, small, capsys, override, line):
    store, _, _ = finished
    assert cli.main(["why", *small, override, f"store={store.root}"]) == 0
    assert line in capsys.readouterr().out.splitlines()


def test_plan_and_why_compare_with_what_left_out_keys_mean(finished, small, capsys):
    store, _, _ = finished
    words = ["document_masking=true", "corpus.filters.min_words=2", "corpus.unicode=NFC"]
    assert cli.main(["plan", *small, *words, f"store={store.root}"]) == 0
    out = capsys.readouterr().out
    assert "pretrain.document_masking false -> true" in out
    assert "corpus.unicode none -> NFC" in out
    assert "corpus.filters.min_words null -> 2" in out


def test_why_names_what_runs_although_no_key_differs(finished, small, capsys, tmp_path):
    store = Store(shutil.copytree(finished[0].root, tmp_path / "store"))
    words = [*small, "tracking.mode=offline", f"store={store.root}"]
    assert cli.main(["why", *words]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "no key differs: re-runs nothing"
    shutil.rmtree(find_run(store, "last").artifact("pretrain"))
    assert cli.main(["why", *words, "force=[packing]"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "no result differs, and yet these run: packing is forced, pretrain is not in the store"
    )
    assert cli.main(["generate", "last", f"store={store.root}"]) == 2
    assert re.search(r"artifacts/pretrain/\S+ of run last is no longer in the store", capsys.readouterr().err)


def test_verify_is_content_with_what_was_published(lmexp):
    code, out, _ = lmexp("verify")
    assert code == 0
    assert "are as published" in out


def test_replay_gives_identical_bytes(lmexp, finished):
    entries = finished[1].stages
    code, out, _ = lmexp(
        "replay", *(entries[name]["artifact"] for name in ("corpus", "tokenizer", "packing"))
    )
    assert code == 0, out
    assert out.count("identical") == 3


def test_gc_without_delete_deletes_nothing_and_keeps_what_runs_need(lmexp, finished):
    store, run, _ = finished
    code, out, _ = lmexp("gc", "--json")
    assert code == 0
    kept = {str(run.artifact(name)) for name in run.stages}
    assert not kept & {item["path"] for item in json.loads(out)["garbage"]}
    assert all(find_run(store, run.name).artifact(name).exists() for name in run.stages)


def test_generate_continues_a_prompt_by_run_by_artifact_and_by_path(lmexp, finished, capsys):
    _, run, _ = finished
    words = ["--prompt", "def f(", "max_new_tokens=12", "temperature=0.8", "top_k=50", "top_p=null", "seed=1"]
    code, out, _ = lmexp("generate", "last", *words)
    assert code == 0
    assert len(out) > 1
    path = run.artifact("pretrain")
    for target in (run.name, run.stages["pretrain"]["artifact"], str(path)):
        assert lmexp("generate", target, *words) == (0, out, "")
    assert cli.main(["generate", str(path), *words]) == 0  # a path needs no store
    assert capsys.readouterr().out == out
    library = importlib.import_module("lmexp")
    model, tokenizer = library.load_model(path), library.load_tokenizer(path)
    sampling = {"max_new_tokens": 12, "temperature": 0.8, "top_k": 50, "seed": 1}
    assert library.generate(model, tokenizer, "def f(", **sampling) + "\n" == out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["last", "temprature=1"], "temprature is not a known key (did you mean 'temperature'?)."),
        (["last", "top_p=2"], "top_p must be greater than 0 and at most 1, was 2.0."),
        (["last", "top_k=many"], "top_k must be an integer, was 'many'."),
        (["last", "temperature=nan"], "temperature must be a finite number, was nan."),
        ([], "generate takes one RUN or the PATH of a model; see lmexp ls."),
        (["last", "tiny"], "generate takes one RUN or the PATH of a model; see lmexp ls."),
        (
            ["no/such/path"],
            "no/such/path is not the directory of a model, which holds config.json and model.safetensors; "
            "see lmexp ls.",
        ),
        (["last", "--promt", "x"], "--promt is not an option (did you mean '--prompt'?); see --help."),
    ],
)
def test_generate_refuses_bad_words_in_one_sentence(lmexp, words, sentence):
    assert lmexp("generate", *words) == (2, "", f"lmexp: {sentence}\n")


def test_generate_names_the_nearest_run_and_refuses_another_stages_artifact(lmexp, finished):
    run = finished[1]
    code, _, err = lmexp("generate", f"{run.name}x")
    assert (code, f"did you mean {run.name!r}" in err) == (2, True)
    code, _, err = lmexp("generate", run.stages["tokenizer"]["artifact"])
    assert (code, "is not the directory of a model" in err) == (2, True)


def test_show_takes_the_beginning_of_the_one_artifact_that_has_it(lmexp, finished):
    entry = finished[1].stages["pretrain"]
    code, out, _ = lmexp("show", entry["artifact"].rpartition("/")[2][:-4])
    assert code == 0
    assert json.loads(out)["fingerprint"] == entry["fingerprint"]


def test_a_plan_leaves_nothing_behind(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["plan", "+experiment=tiny"]) == 0
    assert list(tmp_path.iterdir()) == []
