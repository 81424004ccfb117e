"""What the pages say is so: their code runs, their links lead somewhere, their commands compose."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lmexp.core.graph.compose import compose
from lmexp.core.records.runs import find_run
from lmexp.core.store.store import Store
from lmexp.evals.config import PromptsConfig
from lmexp.evals.prompts import prompts_of
from lmexp.evals.tasks.task_files import read_task_file
from lmexp.evals.tasks.task_keys import KEYS

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])


def blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks of a page that are in a language."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_to_a_file(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), target
    for target in re.findall(r"`((?:docs|tests|examples|pipelines|src|conf)/[\w./]+)`", text):
        assert (ROOT / target).exists(), target


def test_the_stage_of_the_page_counts_letters(tmp_path):
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "conf").mkdir()
    (tmp_path / "pipelines" / "letters.py").write_text(blocks("add-a-stage.md", "python")[0])
    (tmp_path / "conf" / "letters.yaml").write_text(blocks("add-a-stage.md", "yaml")[0])
    rows = [{"text": f"Abba {i}"} for i in range(60)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    own = [f"corpus.files=[{tmp_path}/rows.jsonl]", "corpus.test_fraction=0.2", "tracking.mode=off"]
    for words, expected in (([], {"a": 2, "b": 2}), (["letters.fold_case=false"], {"A": 1, "a": 1, "b": 2})):
        command = [sys.executable, "-m", "lmexp.run", "--config-name", "letters", *own, *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        run = find_run(Store(tmp_path / "outputs"), "last")
        counts = json.loads((run.artifact("letters") / "letters.json").read_text())
        n = run.metrics["corpus/train/documents"]
        assert counts == {letter: k * n for letter, k in expected.items()}
    assert run.stages["corpus"]["action"] == "reused"


def test_the_tasks_of_the_page_load_and_ask_what_it_shows(tmp_path):
    (tmp_path / "animals.jsonl").write_text(blocks("add-a-task.md", "json")[0])
    tasks = {}
    for text in blocks("add-a-task.md", "yaml"):
        (tmp_path / "task.yaml").write_text(text)
        task = read_task_file(tmp_path / "task.yaml").task(limit=None, seed=0)
        tasks[task.kind] = task
    assert set(tasks) == {"cloze", "multiple_choice", "minimal_pairs", "exact_match"}
    assert all(len(task.items) == 8 for task in tasks.values())
    assert {item.gold for item in tasks["minimal_pairs"].items} == {0, 1}, "in either order"
    shown = prompts_of(tasks["cloze"], num_fewshot=2, seed=PromptsConfig().seed)[0].text
    assert f"```\n{shown}\n```" in (ROOT / "docs" / "add-a-task.md").read_text(encoding="utf-8")


def test_every_key_of_a_task_file_stands_in_the_page():
    table = (ROOT / "docs" / "add-a-task.md").read_text(encoding="utf-8").partition("## 5.")[2]
    assert set().union(*KEYS.values()) <= set(re.findall(r"`(\w+)`", table))


def commands() -> list[str]:
    """Return the commands of all pages that run a shipped experiment and sweep nothing."""
    found = set()
    for page in PAGES:
        for line in page.read_text(encoding="utf-8").splitlines():
            match = re.search(r"python -m lmexp\.run (\+experiment=[^`#|]+)", line)
            if match and "NAME" not in match[1]:
                found.add(match[1].partition(" --")[0].strip())
    return sorted(found)


@pytest.mark.parametrize("command", commands())
def test_the_words_of_a_command_in_the_pages_compose(command, tmp_path, monkeypatch):
    words = [w for w in shlex.split(command) if not w.startswith("-")]
    own = any(f"+experiment={name}" in words for name in ("my_text", "shelf", "own"))
    if own:
        pytest.skip("an experiment of the reader's own, run by its page's own test")
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "a.txt").write_text("text")
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "a.txt").write_text("text")
    shutil.copy(ROOT / "examples" / "own_model" / "window.py", tmp_path)
    (tmp_path / "ptb.train.txt").write_text(" no it was n't <unk> monday \n")
    (tmp_path / "words.py").write_text(blocks("add-a-tokenizer.md", "python")[0])
    (tmp_path / "halves.py").write_text(blocks("add-a-tokenizer.md", "python")[1])
    (tmp_path / "smoothed.py").write_text(blocks("add-an-objective.md", "python")[0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert compose([*words, "tracking.mode=off"]).handles
