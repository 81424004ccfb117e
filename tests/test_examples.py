"""Every example runs as its page says, from a copy of its folder that lies somewhere else."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lmexp.core.records.runs import find_run
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
    folder, done = example("own_data")
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
def test_kill_it_ends_in_the_same_bits_and_by_turns_in_the_same_curve(example):
    folder, done = example("kill_it", "kills=3", "trainer.max_steps=30")
    found = dict(re.findall(r"^  (undisturbed|killed|by turns) +([0-9a-f]{64})$", done.stdout, re.MULTILINE))
    assert found["killed"] == found["undisturbed"]
    assert "by turns" in found
    apart = float(re.search(r"at most (\S+) of the loss apart", done.stdout)[1])
    assert apart < 1e-4
    assert done.stdout.count("killed at step") == 6
    assert (folder / "outputs" / "curves.html").read_text().count('class="line c') == 2
