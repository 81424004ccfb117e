"""The prompts stage on stand-ins for its inputs: conditions side by side, and any corpus will do."""

import json
import shlex
import shutil
import tempfile
import textwrap
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lmexp.core.graph.stage import StageRun
from lmexp.core.values.config import replace
from lmexp.core.values.files import FileHasher
from lmexp.errors import DataError
from lmexp.evals.config import PromptsConfig
from lmexp.evals.tasks.tasks import content_hashes
from lmexp.models.build import count_model
from lmexp.models.families import GPTConfig, NGramConfig
from lmexp.models.families.qwen3.network import GPT
from lmexp.stages.prompts import prompts
from lmexp.tokenizer.config import ByteBPEConfig

PYTHON = [("shlex", Path(shlex.__file__).read_text()), ("textwrap", Path(textwrap.__file__).read_text())]
PROSE = [("a.txt", "It was the best of times, it was the worst of times.\n" * 20)]
CONFIG = PromptsConfig(tasks=("python_operator",), num_fewshot=(0, 2), limit=6)


@pytest.fixture(scope="module")
def encoder():
    return ByteBPEConfig(vocab_size=300).make(iter([text for _, text in PYTHON]))


@pytest.fixture
def evaluate(encoder, tmp_path):
    def call(config, documents, out=tmp_path, stop=lambda: False, content=None):
        shape = GPTConfig(context_length=64, num_layers=1, num_heads=1, num_kv_heads=1, d_model=16)
        torch.manual_seed(0)
        network = GPT(shape, encoder.vocab_size)
        tokens = np.array([encoder.bos_token_id, *encoder.encode(documents[0][1])])
        counted = count_model(
            NGramConfig(order=2), [tokens], vocab_size=encoder.vocab_size, bos_token_id=encoder.bos_token_id
        )
        found = [SimpleNamespace(id=name, text=text) for name, text in documents]
        out.mkdir(exist_ok=True)
        work = tempfile.mkdtemp(dir=tmp_path) if out == tmp_path else tmp_path / "work"
        run = StageRun(
            out=out,
            work=Path(work),
            log=print,
            should_stop=stop,
            cache=tmp_path / "cache",
            content=content or {},
        )
        return prompts.function(
            run,
            config,
            model=SimpleNamespace(load=lambda: network),
            tokenizer=SimpleNamespace(load=lambda: encoder),
            corpus=SimpleNamespace(documents=lambda _split: iter(found)),
            baseline=SimpleNamespace(load=lambda: counted),
        )

    return call


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_numbers_of_shots_stand_side_by_side_on_the_same_items(evaluate, tmp_path):
    metrics = evaluate(replace(CONFIG, permute_labels=True), PYTHON)
    names = ("python_operator-0", "python_operator-2", "python_operator-2-permuted")
    zero, two, permuted = (read(tmp_path / f"{name}.jsonl") for name in names)
    assert [r["id"] for r in zero] == [r["id"] for r in two] == [r["id"] for r in permuted]
    assert [r["shots"] for r in two] == [r["shots"] for r in permuted]
    assert all(a["prompt"] != b["prompt"] for a, b in zip(two, permuted, strict=True))
    mean = lambda rows: sum(row["acc"] for row in rows) / len(rows)  # noqa: E731
    found = {key.removeprefix("python_operator/"): value for key, value in metrics.items()}
    assert found["items"] == len(zero) == 6
    assert found["gain/2"] == pytest.approx(mean(two) - mean(zero))
    assert found["permutation_loss/2"] == pytest.approx(mean(two) - mean(permuted))
    assert found["permuted_acc/2"] == mean(permuted)
    assert found["chance"] == 0.5
    assert {"acc/0/stderr", "acc/0/z", "gain/2/low", "baseline_acc", "truncated/0"} <= set(found)


def test_the_shots_of_an_item_do_not_depend_on_the_number_of_items(evaluate, tmp_path):
    evaluate(CONFIG, PYTHON)
    many = {row["id"]: row for row in read(tmp_path / "python_operator-2.jsonl")}
    evaluate(replace(CONFIG, limit=2), PYTHON)
    few = read(tmp_path / "python_operator-2.jsonl")
    assert few
    for row in few:
        assert row["shots"] == many.get(row["id"], row)["shots"]


def test_a_task_of_ones_own_stands_beside_the_embedded_ones(evaluate, tmp_path):
    rows = [{"word": word, "group": word[0]} for word in ("aback", "abbey", "abide", "best", "big", "bird")]
    (tmp_path / "words.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "words.yaml").write_text(
        'name: words\nkind: minimal_pairs\ndata: words.jsonl\nchoices: ["a {word}", "{word} a"]\n'
        "group: group\nlicence: CC0-1.0\n"
    )
    files = (str(tmp_path / "words.yaml"),)
    config = replace(CONFIG, tasks=("sentence_choice",), task_files=files, permute_labels=True)
    metrics = evaluate(config, PROSE)
    assert (metrics["words/items"], metrics["words/chance"]) == (6, 0.5)
    assert "words/acc/2/clustered_stderr" in metrics
    (row, *_) = read(tmp_path / "words-2.jsonl")
    assert row["prompt"].count("\n\n") == 2
    assert all(word.split()[-1].startswith("a") for word in row["prompt"].split("\n\n")[:2])
    cards = json.loads((tmp_path / "tasks.json").read_text())
    assert cards["words"] == {"kind": "minimal_pairs", "items": 6, "licence": "CC0-1.0"}
    assert cards["sentence_choice"]["kind"] == "cloze"


def test_generated_answers_are_compared_and_kept(evaluate, tmp_path):
    rows = [{"a": i, "b": i + 1} for i in range(5)]
    (tmp_path / "next.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "next.yaml").write_text(
        "name: next\nkind: exact_match\ndata: next.jsonl\n"
        'prompt: "{a} ->"\nanswer: "{b}"\nmax_new_tokens: 4\n'
    )
    config = PromptsConfig(tasks=(), task_files=(str(tmp_path / "next.yaml"),), num_fewshot=(0, 1))
    metrics = evaluate(replace(config, permute_labels=True), PROSE)
    assert {"next/exact_match/0", "next/gain/1/stderr", "next/permutation_loss/1"} <= set(metrics)
    assert {"next/chance", "next/baseline_acc"}.isdisjoint(metrics)
    one, permuted = read(tmp_path / "next-1.jsonl")[0], read(tmp_path / "next-1-permuted.jsonl")[0]
    assert one["answer"] == " 1"
    assert one["prompt"].endswith("\n\n0 ->")
    assert one["prompt"] != permuted["prompt"]
    assert len(one["generated"]) > 0


def test_a_corpus_that_is_no_python_has_no_items_and_no_failure(evaluate, tmp_path):
    assert evaluate(replace(CONFIG, permute_labels=True), PROSE) == {"python_operator/items": 0}
    assert list(tmp_path.glob("*.jsonl")) == []


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_stage_that_was_stopped_goes_on_and_makes_the_same_bytes(evaluate, tmp_path):
    config = replace(CONFIG, tasks=("python_operator", "sentence_choice"), permute_labels=True)
    metrics = evaluate(config, PYTHON, tmp_path / "whole")
    shutil.rmtree(tmp_path / "work")
    for stop_at in (2, 3, 9):
        answers = iter(range(1, 10))
        found = evaluate(config, PYTHON, tmp_path / f"cut{stop_at}", stop=lambda: next(answers) >= stop_at)  # noqa: B023
    assert found == metrics, "the last of them had less left than it might do"
    assert files(tmp_path / "cut9") == files(tmp_path / "whole")
    assert len(files(tmp_path / "cut2")) == 1
    assert len(files(tmp_path / "cut3")) == 3, "it took one and did two more"


def test_a_condition_that_was_stopped_among_its_items_goes_on_with_the_next_chunk(
    evaluate, tmp_path, monkeypatch
):
    monkeypatch.setitem(prompts.function.__globals__, "CHUNK_ITEMS", 2)
    metrics = evaluate(CONFIG, PYTHON, tmp_path / "whole")
    shutil.rmtree(tmp_path / "work")
    for run, stop_at in enumerate((2, 3, 9)):  # six chunks: one, two more, the rest
        answers = iter(range(1, 10))
        found = evaluate(CONFIG, PYTHON, tmp_path / f"cut{run}", stop=lambda: next(answers) >= stop_at)  # noqa: B023
        assert len(list((tmp_path / "work" / "checkpoints").glob("*.ckpt"))) == (1, 3, 6)[run]
    assert found == metrics
    assert files(tmp_path / "cut2") == files(tmp_path / "whole")


def test_a_task_file_that_changes_while_being_read_is_refused(evaluate, tmp_path):
    rows = [{"a": i, "b": i + 1} for i in range(5)]
    (tmp_path / "next.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "next.yaml").write_text(
        "name: next\nkind: exact_match\ndata: next.jsonl\nmax_new_tokens: 2\n"
        'prompt: "{a} ->"\nanswer: "{b}"\n'
    )
    config = PromptsConfig(tasks=(), task_files=(str(tmp_path / "next.yaml"),))
    planned = content_hashes(config, FileHasher())
    assert evaluate(config, PROSE, tmp_path / "same", content=planned)["next/items"] == 5
    with (tmp_path / "next.jsonl").open("a") as file:
        file.write('{"a": 9, "b": 10}\n')
    with pytest.raises(
        DataError, match=r"a file of prompts.task_files changed while being read; give the comm"
    ):
        evaluate(config, PROSE, tmp_path / "changed", content=planned)


def test_no_task_at_all_is_no_failure(evaluate, tmp_path):
    assert evaluate(PromptsConfig(tasks=()), PROSE) == {}
    assert json.loads((tmp_path / "tasks.json").read_text()) == {}


def test_dropped_rows_and_equal_choices_are_counted_and_kept_with_the_task(evaluate, tmp_path):
    rows = [{"q": f"{i}?", "c": ["a", "b", "b"], "g": "a"} for i in range(3)] + [{"q": None}]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "own.yaml").write_text(
        'name: own\nkind: cloze\ndata: own.jsonl\nprompt: "{q}"\nchoices: c\ngold: g\non_bad_row: drop\n'
    )
    metrics = evaluate(PromptsConfig(tasks=(), task_files=(str(tmp_path / "own.yaml"),)), PROSE)
    assert {"own/items": 3, "own/dropped": 1, "own/equal_choices": 3}.items() <= metrics.items()
    card = json.loads((tmp_path / "tasks.json").read_text())["own"]
    assert card["dropped"] == {"nothing usable under a key": 1}
