"""Parity: our rows against lm-eval's conventions, computed anew with transformers on exported files."""

import json
import random

import numpy as np
import pytest
import torch

from lmexp.evals.prompts import prompts_of, score_choices
from lmexp.evals.tasks.task_files import read_task_file
from lmexp.models.build import build_model
from lmexp.models.families import GPTConfig
from lmexp.models.folder import load_model, save_network
from lmexp.scoring.scorer import scorer_of
from lmexp.tokenizer.config import ByteBPEConfig
from lmexp.tokenizer.folder import load_tokenizer

CONTEXT_LENGTH = 48
TASK = r"""
name: toy
kind: cloze
data: toy.jsonl
description: "Pick the sound.\n\n"
prompt: "Q: the {animal}\nA:{tail}"
choices: sounds
gold: right
separator: "\n##\n"
"""
ROWS = [
    {"animal": animal, "sounds": sounds, "right": right, "tail": tail}
    for animal, sounds, right, tail in [
        ("dog", ["barks", "meows loudly", "moos"], 0, ""),
        ("cat", ["  barks all day", " meows"], 1, "  "),
        ("cow that is ölig", ["möös", "barks", "sings a song", "is"], 0, ""),
        ("whale", ["a", "sings in the deep blue sea"], 1, "\n"),
        ("bird " * 12, ["sings", "swims"], 0, ""),
    ]
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An exported model with its tokenizer, and the task."""
    folder = tmp_path_factory.mktemp("parity")
    text = ["Q: the dog\nA: barks\n\nPick the sound of a cat that meows and sings.\n" * 20]
    tokenizer = ByteBPEConfig(vocab_size=320).make(iter(text))
    shape = GPTConfig(context_length=CONTEXT_LENGTH, num_layers=2, num_heads=2, num_kv_heads=1, d_model=32)
    model = build_model(shape, tokenizer.vocab_size, seed=5)
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(i))
            parameter.add_(noise * 0.3)
    save_network(model, folder, eos_token_id=tokenizer.eos_token_id)
    tokenizer.save(folder)
    (folder / "toy.yaml").write_text(TASK)
    (folder / "toy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return folder


def convention(folder, num_fewshot, seed):
    """Score as lm-eval does: from rows to requests to log-likelihoods to metrics, with transformers alone."""
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    encode = transformers.AutoTokenizer.from_pretrained(folder).encode

    def text(row):
        return f"Q: the {row['animal']}\nA:{row['tail']}"

    results = []
    for i, row in enumerate(ROWS):
        others = [k for k in range(len(ROWS)) if k != i]
        shots = random.Random(f"{seed}-toy:{i + 1}").sample(others, num_fewshot)
        shown = [f"{text(ROWS[k])} {ROWS[k]['sounds'][ROWS[k]['right']]}\n##\n" for k in shots]
        context = "Pick the sound.\n\n" + "".join(shown) + text(row)
        sums = []
        for choice in row["sounds"]:
            continuation = " " + choice
            spaces = len(context) - len(context.rstrip())
            before, after = context, continuation
            if spaces:
                before, after = context[:-spaces], context[-spaces:] + continuation
            whole = encode(before + after, add_special_tokens=False)
            start = len(encode(before, add_special_tokens=False))
            inputs = whole[-(CONTEXT_LENGTH + 1) :]
            length = len(whole) - start
            with torch.no_grad():
                log_probs = model(torch.tensor([inputs[:-1]])).logits[0].double().log_softmax(dim=-1)
            places = range(len(inputs) - 1 - length, len(inputs) - 1)
            sums.append(sum(float(log_probs[t, inputs[t + 1]]) for t in places))
        lengths = np.array([len(choice) for choice in row["sounds"]])
        sizes = np.array([len(choice.encode()) for choice in row["sounds"]])
        results.append(
            {
                "prompt": context,
                "log_likelihoods": sums,
                "acc": int(np.argmax(sums) == row["right"]),
                "acc_norm": int(np.argmax(np.array(sums) / lengths) == row["right"]),
                "acc_bytes": int(np.argmax(np.array(sums) / sizes) == row["right"]),
            }
        )
    return results


@pytest.mark.parametrize("num_fewshot", [0, 2])
def test_rows_are_those_of_lm_eval_s_conventions(folder, num_fewshot):
    task = read_task_file(folder / "toy.yaml").task(limit=None, seed=7)
    tokenizer = load_tokenizer(folder)
    scorer = scorer_of(
        load_model(folder), context_length=CONTEXT_LENGTH, batch_size=4, bos_token_id=tokenizer.eos_token_id
    )
    rows = score_choices(scorer, tokenizer, prompts_of(task, num_fewshot=num_fewshot, seed=7))
    expected = convention(folder, num_fewshot, 7)
    assert any(row["truncated"] for row in rows)
    for row, theirs in zip(rows, expected, strict=True):
        np.testing.assert_allclose(row["log_likelihoods"], theirs.pop("log_likelihoods"), atol=2e-5)
        assert {key: row[key] for key in theirs} == theirs
