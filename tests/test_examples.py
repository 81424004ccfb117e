"""Every example runs as its page says, from a copy of its folder that lies somewhere else."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lmexp.core.records.runs import find_run, list_runs
from lmexp.core.store.store import Store

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

TEXTS = EXAMPLES / "own_data" / "texts"


@pytest.fixture
def example(tmp_path):
    """Copy an example, give the command that the index has for it, and return where and its output."""

    def run(name: str, *words: str) -> tuple[Path, subprocess.CompletedProcess[str]]:
        index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
        command = re.search(rf"\| `{name}` \|[^|]*\| `python (.+?)` \|", index)[1].split()
        folder = tmp_path / name
        if not folder.exists():
            shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns("outputs", "__pycache__"))
        done = subprocess.run(
            [sys.executable, *command, *words, "tracking.mode=off"],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return folder, done

    return run


def actions(folder: Path) -> dict[str, str]:
    run = find_run(Store(folder / "outputs"), "last")
    return {name: entry["action"] for name, entry in run.stages.items()}


def test_hello_counts_words_once_and_again_only_what_changed(example):
    folder, _ = example("hello")
    assert actions(folder) == {"words": "ran", "count": "ran"}
    (top,) = (folder / "outputs" / "artifacts" / "count").glob("*/top.json")
    assert json.loads(top.read_text()) == [["the", 3], ["dog", 2], ["quick", 1]]
    command = [sys.executable, "-m", "lmexp.cli", "replay", "last", "--pipeline", "hello"]
    replayed = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert replayed.stdout.count("identical") == 2, replayed.stderr
    example("hello", "count.top=1")
    assert actions(folder) == {"words": "reused", "count": "ran"}


def test_own_data_trains_and_measures_on_the_texts_of_the_folder(example):
    folder, done = example("own_data", "trainer.max_steps=10", "prompts.limit=5", "samples.max_new_tokens=4")
    run = find_run(Store(folder / "outputs"), "last")
    assert 0 < run.metrics["perplexity/test/bits_per_byte"] < 8
    sources = json.loads((run.artifact("corpus") / "card.json").read_text())["sources"]
    assert "clock.txt" in json.dumps(sources)
    assert "bits" in done.stdout


def test_own_pipeline_lists_the_most_surprising_tokens_in_order(example):
    folder, _ = example(
        "own_pipeline", "max_steps=5", f"corpus.files=[{TEXTS}/*.txt]", "corpus.max_document_bytes=512"
    )
    run = find_run(Store(folder / "outputs"), "last")
    found = json.loads((run.artifact("surprise") / "surprise.json").read_text())["tokens"]
    bits = [row["bits"] for row in found]
    assert len(bits) == 20
    assert bits == sorted(bits, reverse=True)
    assert run.metrics["surprise/most_bits"] == pytest.approx(bits[0], abs=1e-3)


@pytest.mark.slow
def test_own_model_stands_beside_one_of_lmexp_on_one_page(example):
    corpus = ("corpus=local", f"corpus.files=[{TEXTS}/*.txt]", "corpus.max_document_bytes=512")
    folder, _ = example("own_model", "trainer.max_steps=3", "only=[perplexity]", *corpus)
    runs = {run.data["config"]["model"]["architecture"]: run for run in list_runs(Store(folder / "outputs"))}
    assert set(runs) == {"window", "qwen3"}
    assert all(0 < run.metrics["perplexity/test/bits_per_byte"] < 16 for run in runs.values())
    (page,) = (folder / "outputs" / "sweeps").glob("*/report.html")
    assert "window" in page.read_text()

    def lmexp(*words: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "lmexp.cli", *words]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        return done.returncode, f"{done.stdout}{done.stderr}"

    model = runs["window"].artifact("pretrain").as_posix()
    code, said = lmexp("generate", model, "max_new_tokens=3")
    assert (code, "'window', which a file window.py defined" in said) == (2, True), said
    given, plain = lmexp("generate", model, "max_new_tokens=3", "--with", "window.py"), folder / "plain"
    assert given[0] == 0, given[1]
    shutil.copytree(model, plain, ignore=shutil.ignore_patterns("artifact.json"))
    code, said = lmexp("adopt", "model", "plain", "--with", "window.py")
    assert code == 0, said
    adopted = re.search(r"adopted as (\S+)", said)[1]
    assert lmexp("generate", adopted, "max_new_tokens=3", "--with", "window.py") == given
    evaluation = ("run", "--config-name", "evaluate", f"model.path={adopted}", "only=[perplexity]")
    own = ("extensions=[window.py]", *corpus, "perplexity.limit=4", "tracking.mode=off")
    code, said = lmexp(*evaluation, *own)
    assert code == 0, said
    measured = find_run(Store(folder / "outputs"), "last").metrics["perplexity/test/bits_per_byte"]
    assert measured == runs["window"].metrics["perplexity/test/bits_per_byte"]
    text = (folder / "window.py").read_text()
    (folder / "window.py").write_text(text.replace("torch.tanh(", "torch.sigmoid("))
    code, said = lmexp("plan", *evaluation[1:], *own)
    assert "content of window.py differs" in said


@pytest.mark.slow
def test_kill_it_ends_in_the_same_bits_and_by_turns_in_the_same_curve(example):
    folder, done = example("kill_it", "kills=3", "trainer.max_steps=30")
    found = dict(re.findall(r"^  (undisturbed|killed|by turns) +([0-9a-f]{64})$", done.stdout, re.MULTILINE))
    assert found["killed"] == found["undisturbed"]
    assert "by turns" in found
    apart = float(re.search(r"at most (\S+) of the loss apart", done.stdout)[1])
    assert apart < 1e-4
    assert done.stdout.count("killed at step") == 6
    assert (folder / "outputs" / "curves.html").read_text().count('class="line c') == 2


def test_the_lie_detector_names_each_record_that_cannot_be(example):
    _, done = example("lie_detector")
    entropy, least, *claims = re.findall(r"^(\d\.\d{4})  (.+)$", done.stdout, flags=re.MULTILINE)
    assert entropy == ("0.9784", "the entropy of the source, in bits per byte")
    assert least[0] == "0.9789"
    said = {
        name: (float(bits), verdict) for bits, words in claims for verdict, name in [words.split(None, 1)]
    }
    honest, verdict = said.pop("honest")
    assert verdict == "possible"
    assert 0.9789 < honest < 1.01
    assert len(said) == 3
    assert all(bits < 0.9784 and verdict == "impossible" for bits, verdict in said.values())
    assert re.findall(r"^ +(every check|\w+:)", done.stdout, flags=re.MULTILINE) == [
        "every check",
        "sums_to_one:",
        "next_bytes:",
        "bytes:",
        "bytes:",
    ]
    page = (EXAMPLES / "lie_detector" / "README.md").read_text(encoding="utf-8")
    for bits, _ in claims:
        assert bits in page
