"""The prompts stage: each task at each number of worked examples, side by side on the same items."""

from typing import TYPE_CHECKING, Any

from lmexp.core.files import FileHasher, write_json
from lmexp.core.stage import Artifact, Metrics, StageRun, stage
from lmexp.errors import DataError
from lmexp.evals.config import PromptsConfig
from lmexp.evals.tasks import content_hashes
from lmexp.stages.corpus import CorpusArtifact
from lmexp.stages.packing import PackingArtifact
from lmexp.stages.pretrain import ModelArtifact
from lmexp.stages.rows import write_rows
from lmexp.stages.tokenizer import TokenizerArtifact

if TYPE_CHECKING:
    from lmexp.evals.prompt_metrics import Rows


class PromptsArtifact(Artifact):
    """Rows, one for each item, in ``<task>-<num_fewshot>.jsonl``, and with ``-permuted`` for permuted labels;
    ``tasks.json`` says of each task its kind, its number of items and its licence."""


_BIGRAM_TOKENS = 100_000_000
"""The bigram beside the model counts the first so many training tokens at most, to bound its memory."""


@stage(
    "prompts",
    version=2,
    produces=PromptsArtifact,
    content=content_hashes,
    label=lambda config: f"{len(config.tasks) + len(config.task_files)}-tasks",
)
def prompts(
    run: StageRun,
    config: PromptsConfig,
    *,
    model: ModelArtifact,
    tokenizer: TokenizerArtifact,
    corpus: CorpusArtifact,
    packing: PackingArtifact,
) -> Metrics:
    """Evaluate each task at each number of worked examples, with a bigram of the same tokens beside it.

    Metrics of a task: ``acc/<n>`` and its errors, ``chance``, ``bigram_acc`` at zero shots, ``items``; where
    zero shots are among the numbers ``gain/<n>``, and with `permute_labels` ``permuted_acc/<n>`` and
    ``permutation_loss/<n>``. Where answers are generated, ``exact_match`` stands in place of ``acc``, and
    neither chance nor the bigram beside it. A task without items has ``items`` alone.
    """
    from lmexp.evals.exact_match import score_answers
    from lmexp.evals.prompt_metrics import chance, task_metrics
    from lmexp.evals.prompts import prompts_of, score_choices
    from lmexp.evals.scoring import BigramScorer
    from lmexp.evals.shared_prefix import SharedPrefixScorer
    from lmexp.evals.tasks import TaskMaker
    from lmexp.models.bigram import Bigram

    encoder, network = tokenizer.load(), model.load()
    scorer = SharedPrefixScorer(
        network,
        context_length=network.config.context_length,
        batch_size=config.batch_size,
        eos_token_id=encoder.bos_token_id,
    )
    train = packing.load().split("train")
    counted = train.read(0, min(train.num_tokens, _BIGRAM_TOKENS))
    bigram = BigramScorer(Bigram.fit(counted, encoder.vocab_size), eos_token_id=encoder.bos_token_id)
    maker = TaskMaker(
        lambda split: ((document.id, document.text) for document in corpus.documents(split)),
        limit=config.limit,
        seed=config.seed,
        needs_examples=max(config.num_fewshot) > 0,
    )
    metrics: dict[str, float] = {}
    cards: dict[str, dict[str, Any]] = {}
    for task in maker.tasks(config):
        name = task.name
        metrics[f"{name}/items"] = len(task.items)
        cards[name] = {"kind": task.kind, "items": len(task.items), "licence": task.licence}
        if not task.items:
            continue
        conditions: dict[tuple[int, bool], Rows] = {}
        for num_fewshot in config.num_fewshot:
            for permuted in (False, True) if config.permute_labels and num_fewshot else (False,):
                asked = prompts_of(task, num_fewshot=num_fewshot, seed=config.seed, permuted=permuted)
                if task.exact_match is None:
                    rows = score_choices(scorer, encoder, asked)
                else:
                    rows = score_answers(network, encoder, task, asked, batch_size=config.batch_size)
                write_rows(run.out / f"{name}-{num_fewshot}{'-permuted' if permuted else ''}.jsonl", rows)
                conditions[num_fewshot, permuted] = rows
        found = task_metrics(conditions, "acc" if task.exact_match is None else "exact_match")
        if task.exact_match is None:
            baseline = score_choices(bigram, encoder, prompts_of(task, num_fewshot=0, seed=config.seed))
            right = sum(row["acc"] for row in baseline)
            found |= {"chance": chance(baseline), "bigram_acc": right / len(baseline)}
        metrics |= {f"{name}/{key}": value for key, value in found.items()}
    write_json(run.out / "tasks.json", cards)
    if run.content and content_hashes(config, FileHasher()) != run.content:
        raise DataError("a file of prompts.task_files changed while being read; give the command again.")
    return metrics
