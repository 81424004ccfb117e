"""The experiment in_context: it runs through, and a reduced one already learns in context."""

import pytest

from lmexp.core.records.runs import find_run
from lmexp.core.store.store import Store
from lmexp.core.values.files import read_lines
from tests.conftest import lmexp_run

LESSONS = ("operator", "translation", "copy", "sort", "question")
ONLY_OPERATOR = [f"corpus.sources.primer.{name}=0" for name in (*LESSONS[1:], "story")]


def test_the_primer_runs_from_documents_to_prompts(tmp_path):
    done = lmexp_run(
        tmp_path / "store",
        "+experiment=in_context",
        "+debug=fast",
        "corpus.sources.primer.num_documents=400",
        "model.d_model=16",
        "prompts.num_fewshot=[0,8]",
        "samples.max_new_tokens=2",
        "tracking.mode=off",
    )
    assert done.returncode == 0, done.stderr
    run = find_run(Store(tmp_path / "store"), "last")
    assert run.metrics["corpus/documents"] == 400
    for lesson in LESSONS:
        assert 0 < run.metrics[f"prompts/primer_{lesson}/chance"] < 1
        [first, second] = read_lines(run.artifact("prompts") / f"primer_{lesson}-8.jsonl")
        assert len(first["shots"]) == len(second["shots"]) == 8
        assert run.metrics[f"prompts/primer_{lesson}/permuted_acc/8"] in (0, 0.5, 1)


@pytest.mark.slow
def test_worked_examples_teach_a_rule_that_nothing_else_tells(tmp_path):
    """About four CPU minutes: a corpus of the operator alone, and a fifth of the steps."""
    done = lmexp_run(
        tmp_path / "store",
        "+experiment=in_context",
        *ONLY_OPERATOR,
        "corpus.sources.primer.num_documents=20000",
        "trainer.max_steps=800",
        "perplexity.limit=1",
        "prompts.tasks=[primer_operator]",
        "prompts.num_fewshot=[0,8]",
        "prompts.limit=192",
        "samples.num_samples=1",
        "tracking.mode=off",
    )
    assert done.returncode == 0, done.stderr
    metrics = find_run(Store(tmp_path / "store"), "last").metrics
    assert metrics["prompts/primer_operator/gain/8"] > 0.15
    assert metrics["prompts/primer_operator/gain/8/low"] > 0
    assert metrics["prompts/primer_operator/permutation_loss/8"] > 0.10
    assert metrics["prompts/primer_operator/permutation_loss/8/low"] > 0
