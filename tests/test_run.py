"""The command line from end to end, on a small real corpus."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

import lmexp
from lmexp.analysis.report import write_report
from lmexp.core.records.runs import find_run, list_runs
from lmexp.core.store.store import Store
from lmexp.core.values.files import read_lines

from .conftest import lmexp_run

STAGES = ["corpus", "tokenizer", "packing", "pretrain", "perplexity", "baseline", "prompts", "samples"]


def test_one_command_goes_from_text_to_a_table(finished):
    _, run, out = finished
    assert run.status == "done"
    assert list(run.stages) == STAGES
    assert {entry["action"] for entry in run.stages.values()} == {"ran"}
    for words in (
        "bits per byte",
        "perplexity/test",
        "xz",
        "gzip",
        "zstd",
        "prompts/python_operator",
        "wandb",
    ):
        assert words in out


def test_the_run_record_holds_what_others_script_against(finished):
    store, run, _ = finished
    data = json.loads((store.runs / run.name / "run.json").read_text())
    assert {"run", "experiment", "status", "config", "stages", "metrics"} <= set(data)
    assert set(data["stages"]["pretrain"]) >= {
        "stage", "artifact", "fingerprint", "action", "seconds", "world_size",
    }  # fmt: skip
    expected = [
        "perplexity/test/loss",
        "perplexity/test/bits_per_byte",
        "perplexity/test/gzip_bits_per_byte",
        "perplexity/test/xz_bits_per_byte",
        "prompts/python_operator/acc/0",
        "prompts/python_operator/acc/0/stderr",
        "pretrain/tokens_per_second",
    ]
    assert set(expected) <= set(data["metrics"])
    lines = list(read_lines(store.runs / run.name / "invocations.jsonl"))
    assert [line["outcome"] for line in lines] == ["done"]
    assert set(lines[0]) >= {"argv", "started", "host", "stages", "traceback"}


def test_a_run_ends_with_the_path_of_its_page(finished):
    _, run, out = finished
    page = run.path / "report.html"
    assert f"report: {page}" in out.splitlines()
    text = page.read_text()
    for words in (
        "Bits per byte: perplexity/test",
        "Curves of pretrain",
        "Accuracy with 0 shots",
        "What it writes",
    ):
        assert words in text
    changed = re.findall(r'<th scope="row"[^>]*>([^<]*)</th><td[^>]*>([^<]*)</td>', text)
    assert ("trainer.max_steps", "100") in changed
    again = page.read_bytes()
    assert write_report(run).read_bytes() == again


def test_the_same_command_reuses_everything_and_imports_nothing_heavy(finished, copy_of_finished, small):
    store, run = copy_of_finished, finished[1]
    done = lmexp_run(store.root, *small, "tracking.mode=off", python=["-X", "importtime"])
    assert done.returncode == 0, done.stderr
    imported = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert "lmexp.stages" in imported
    assert not imported & {
        "torch",
        "numpy",
        "pyarrow",
        "pytorch_lightning",
        "wandb",
        "datasets",
        "tokenizers",
    }
    assert {e["action"] for e in find_run(store, run.name).stages.values()} == {"reused"}


@pytest.mark.parametrize(
    ("override", "runs"),
    [
        ("prompts.limit=4", ["prompts"]),
        ("tokenizer.vocab_size=300", STAGES[1:]),
        ("optimizer.lr=0.002", [name for name in STAGES[3:] if name != "baseline"]),
        ("trainer.devices=2", []),
        ("micro_batch_size=4", []),
        ("tracking.mode=off", []),
        ("executor.threads=2", []),
    ],
)
def test_a_change_re_runs_what_depends_on_it_and_nothing_else(finished, small, override, runs):
    from lmexp.core.graph.compose import compose
    from lmexp.core.running.session import plan_of

    store, _, _ = finished
    composition = compose([*small, f"store={store.root}", override])
    verdicts = plan_of(composition, store).verdicts(store)
    assert [name for name, verdict in verdicts.items() if verdict.action == "run"] == runs


def test_the_artifact_loads_in_transformers_with_equal_logits_and_ids(finished):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _, run, _ = finished
    path = run.artifact("pretrain")
    theirs, ours = AutoModelForCausalLM.from_pretrained(path), lmexp.load_model(path)
    tokenizer, own = AutoTokenizer.from_pretrained(path), lmexp.load_tokenizer(path)
    text = 'def f(x):\n\treturn "ünïcode" + x  # <|endoftext|> is only text\n'
    ids = tokenizer("def f(x):\n\treturn 1\n")["input_ids"]
    assert ids == own.encode("def f(x):\n\treturn 1\n")
    assert own.decode(own.encode(text)) == text
    batch = torch.tensor([ids])
    with torch.inference_mode():
        torch.testing.assert_close(ours(batch), theirs(batch).logits, atol=1e-4, rtol=1e-4)


def test_a_notebook_gets_the_same_run_as_the_command(finished, copy_of_finished, small):
    store, run = copy_of_finished, finished[1]
    again = lmexp.run_experiment([*small, f"store={store.root}", "tracking.mode=off"], quiet=True)
    assert (again.name, again.metrics) == (run.name, run.metrics)


def test_two_ranks_train_the_model_of_one_rank(finished, copy_of_finished, small):
    _, run, _ = finished
    own = copy_of_finished
    shutil.rmtree(own.root / "artifacts" / "pretrain")
    overrides = [*small, "trainer.devices=2", "only=[pretrain]", "tracking.mode=off"]
    done = lmexp_run(own.root, *overrides)
    assert done.returncode == 0, done.stderr
    two = find_run(own, "last")
    assert two.stages["pretrain"]["world_size"] == 2
    assert two.stages["pretrain"]["fingerprint"] == run.stages["pretrain"]["fingerprint"]
    assert [two.stages[name]["world_size"] for name in ("corpus", "tokenizer", "packing")] == [1, 1, 1]
    curves = [
        [p["train/loss"] for p in read_lines(r.artifact("pretrain") / "metrics.jsonl")] for r in (run, two)
    ]
    assert len(curves[0]) == 12
    assert curves[1] == pytest.approx(curves[0], rel=1e-5)


def test_a_sweep_shares_what_its_points_have_in_common(tmp_path, small):
    sweep = ["-m", *small, "only=[pretrain]", "tracking.mode=off", "trainer.max_steps=3", "seed=1,2"]
    done = lmexp_run(tmp_path / "store", *sweep)
    assert done.returncode == 0, done.stderr
    store = Store(tmp_path / "store")
    runs = list_runs(store)
    assert len(runs) == 2
    assert len({r.data["group"] for r in runs}) == 1
    counts = {stage: len(store.records(stage)) for stage in ("corpus", "tokenizer", "packing", "pretrain")}
    assert counts == {"corpus": 1, "tokenizer": 1, "packing": 1, "pretrain": 2}
    again = lmexp_run(tmp_path / "store", *sweep)
    assert again.returncode == 0
    assert len(list_runs(store)) == 2
    assert all({e["action"] for e in r.stages.values()} == {"reused"} for r in list_runs(store))
    assert {p.name for p in tmp_path.iterdir()} == {"store"}, "Hydra left files of its own"


def test_a_failed_point_does_not_stop_the_sweep_and_shows_in_the_exit_code(tmp_path, small):
    missing = tmp_path / "later.txt"
    missing.write_text("one document only")
    files = f"corpus.files=['{missing}'],{small[-1].partition('=')[2]}"
    done = lmexp_run(tmp_path / "store", "-m", *small[:-1], files, "only=[corpus]", "tracking.mode=off")
    assert done.returncode == 2, done.stderr
    assert sorted(r.status for r in list_runs(Store(tmp_path / "store"))) == ["done", "failed"]


def test_ctrl_c_before_the_first_point_of_the_curve_is_an_interruption(tmp_path, small):
    store = tmp_path / "store"
    words = [*small, "only=[pretrain]", "trainer.max_steps=2000", "trainer.log_every_n_steps=2000"]
    words += ["checkpoint_every_steps=1", "tracking.mode=off", f"store={store}"]
    process = subprocess.Popen([sys.executable, "-m", "lmexp.run", *words], stderr=subprocess.PIPE, text=True)
    while not list(store.glob("scratch/*/*/work/checkpoints/step-*.ckpt")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert "stopped in pretrain; the same command goes on from there" in err
    assert find_run(Store(store), "last").status == "interrupted"
