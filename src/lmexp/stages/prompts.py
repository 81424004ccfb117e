"""The prompts stage: each task at each number of worked examples, side by side on the same items."""

import functools
from typing import TYPE_CHECKING, Any

from lmexp.core.graph.stage import Artifact, Metrics, StageRun, stage
from lmexp.core.values.files import FileHasher, write_json
from lmexp.errors import DataError
from lmexp.evals.config import PromptsConfig
from lmexp.evals.needs import check_prompts
from lmexp.evals.tasks.tasks import content_hashes
from lmexp.models.device import check_device, computing
from lmexp.stages.conditions import Conditions
from lmexp.stages.corpus import CorpusArtifact
from lmexp.stages.model_artifact import ModelArtifact
from lmexp.stages.rows import write_rows
from lmexp.stages.tokenizer import TokenizerArtifact

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lmexp.evals.prompt_metrics import Rows
    from lmexp.evals.prompts import Prompt
    from lmexp.evals.tasks.items import Task
    from lmexp.models.interface import LanguageModel
    from lmexp.tokenizer.tokenizer import Tokenizer

CHUNK_ITEMS = 500
"""Items of a condition that are asked between two points from which a killed or stopped run goes on."""


class PromptsArtifact(Artifact):
    """Rows, one for each item, in ``<task>-<num_fewshot>.jsonl``, and with ``-permuted`` for permuted labels;
    ``tasks.json`` says of each task its kind, number of items and licence, and which rows were dropped."""


@stage(
    "prompts",
    version=4,
    produces=PromptsArtifact,
    content=content_hashes,
    resumes=True,
    check_inputs=check_prompts,
    check_machine=check_device("prompts"),
    label=lambda config: f"{len(config.tasks) + len(config.task_files)}-tasks",
)
def prompts(
    run: StageRun,
    config: PromptsConfig,
    *,
    model: ModelArtifact,
    tokenizer: TokenizerArtifact,
    corpus: CorpusArtifact,
    baseline: ModelArtifact | None = None,
) -> Metrics:
    """Evaluate each task at each number of worked examples, with a `baseline` at zero shots beside it.

    Metrics of a task: ``acc/<n>`` with its errors and interval, ``chance``, ``baseline_acc`` at zero shots,
    ``items``; where zero shots are among the numbers ``gain/<n>``, and with `permute_labels`
    ``permuted_acc/<n>`` and ``permutation_loss/<n>``. Where answers are generated, ``exact_match`` stands in
    place of ``acc``, and neither chance nor the baseline beside it. A task without items has ``items`` alone.
    ``dropped`` rows and items of ``equal_choices`` are counted where there are some. A chunk of
    a condition's items that is done is kept, and a run that was killed or stopped goes on with the next.
    """
    with computing(model.load(), config, "prompts") as network:
        return _measured(run, config, network, tokenizer.load(), corpus=corpus, baseline=baseline)


def _measured(
    run: StageRun,
    config: PromptsConfig,
    network: "LanguageModel",
    encoder: "Tokenizer",
    *,
    corpus: CorpusArtifact,
    baseline: ModelArtifact | None,
) -> Metrics:
    from lmexp.evals.prompt_metrics import chance, task_metrics
    from lmexp.evals.prompts import prompts_of, score_choices
    from lmexp.evals.tasks.tasks import TaskMaker
    from lmexp.scoring.scorer import Scorer, scorer_of

    score = _scoring(network, encoder, config.batch_size)
    maker = TaskMaker(
        lambda split: ((document.id, document.text) for document in corpus.documents(split)),
        limit=config.limit,
        seed=config.seed,
        needs_examples=max(config.num_fewshot) > 0,
    )

    @functools.cache
    def beside() -> Scorer:
        assert baseline is not None
        batch_size, bos = config.batch_size, encoder.bos_token_id
        return scorer_of(baseline.load(), batch_size=batch_size, bos_token_id=bos, purpose="prompts")

    done = Conditions(run.work / "checkpoints", run.should_stop)
    metrics: dict[str, float] = {}
    cards: dict[str, dict[str, Any]] = {}
    for task in maker.tasks(config):
        metrics |= {f"{task.name}/{key}": value for key, value in _counts(task).items()}
        cards[task.name] = _card(task)
        if not task.items:
            continue
        conditions: dict[tuple[int, bool], Rows] = {}
        for num_fewshot in config.num_fewshot:
            for permuted in (False, True) if config.permute_labels and num_fewshot else (False,):
                asked = prompts_of(task, num_fewshot=num_fewshot, seed=config.seed, permuted=permuted)
                name = f"{task.name}-{num_fewshot}{'-permuted' if permuted else ''}"
                chunks = [asked[i : i + CHUNK_ITEMS] for i in range(0, len(asked), CHUNK_ITEMS)]
                rows = list(done.each(name, chunks, functools.partial(score, task)))
                if done.stopped:
                    return {"stopped": 1}
                write_rows(run.out / f"{name}.jsonl", rows)
                conditions[num_fewshot, permuted] = rows
        found = task_metrics(conditions, "acc" if task.exact_match is None else "exact_match")
        if task.exact_match is None:
            asked = prompts_of(task, num_fewshot=0, seed=config.seed)
            found["chance"] = chance(next(iter(conditions.values())))
            if baseline is not None:
                right = sum(row["acc"] for row in score_choices(beside(), encoder, asked))
                found["baseline_acc"] = right / len(asked)
        metrics |= {f"{task.name}/{key}": value for key, value in found.items()}
    write_json(run.out / "tasks.json", cards)
    if run.content and content_hashes(config, FileHasher()) != run.content:
        raise DataError("a file of prompts.task_files changed while being read; give the command again.")
    return metrics


def _scoring(
    network: "LanguageModel", encoder: "Tokenizer", batch_size: int | None
) -> "Callable[[Task, Sequence[Prompt]], Rows]":
    """Return what gives a task's prompts their rows."""
    from lmexp.evals.exact_match import score_answers
    from lmexp.evals.prompts import score_choices
    from lmexp.scoring.scorer import scorer_of

    scorer = scorer_of(network, batch_size=batch_size, bos_token_id=encoder.bos_token_id, purpose="prompts")

    def score(task: "Task", asked: "Sequence[Prompt]") -> "Rows":
        if task.exact_match is None:
            return score_choices(scorer, encoder, asked)
        return score_answers(network, encoder, task, asked, batch_size=batch_size)

    return score


def _counts(task: "Task") -> dict[str, int]:
    """Return the number of items, and of rows that were dropped or are odd where there are some."""
    odd = {"dropped": sum(task.dropped.values()), "equal_choices": task.equal_choices}
    return {"items": len(task.items)} | {name: count for name, count in odd.items() if count}


def _card(task: "Task") -> dict[str, Any]:
    card = {"kind": task.kind, "items": len(task.items), "licence": task.licence}
    return card | ({"dropped": dict(task.dropped)} if task.dropped else {})
