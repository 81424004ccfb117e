"""The prompts stage: multiple choice by log-likelihood, with a bigram model of the same tokens beside it."""

from lmexp.core.stage import Artifact, Metrics, StageRun, stage
from lmexp.evals.config import PromptsConfig
from lmexp.stages.corpus import CorpusArtifact
from lmexp.stages.packing import PackingArtifact
from lmexp.stages.pretrain import ModelArtifact
from lmexp.stages.rows import write_rows
from lmexp.stages.tokenizer import TokenizerArtifact


class PromptsArtifact(Artifact):
    """One row for each item, in ``<task>-<num_fewshot>.jsonl``."""


@stage("prompts", version=1, produces=PromptsArtifact, label=lambda config: f"{len(config.tasks)}-tasks")
def prompts(
    run: StageRun,
    config: PromptsConfig,
    *,
    model: ModelArtifact,
    tokenizer: TokenizerArtifact,
    corpus: CorpusArtifact,
    packing: PackingArtifact,
) -> Metrics:
    """Evaluate each task at each number of shots.

    Items come from the test split and worked examples from the validation split. Metrics are
    ``<task>/acc/<num_fewshot>`` with ``/stderr``, and ``<task>/bigram_acc`` at zero shots.
    """
    from lmexp.evals.prompts import evaluate_prompts
    from lmexp.evals.python_pairs import make_pairs
    from lmexp.evals.scoring import BigramScorer, ModelScorer
    from lmexp.models.bigram import Bigram

    encoder, network = tokenizer.load(), model.load()
    scorer = ModelScorer(
        network,
        context_length=network.config.context_length,
        batch_size=config.batch_size,
        eos_token_id=encoder.eos_token_id,
    )
    train = packing.load().split("train")
    bigram = BigramScorer(
        Bigram.fit(train.read(0, train.num_tokens), encoder.vocab_size), eos_token_id=encoder.eos_token_id
    )
    test, validation = ([(d.id, d.text) for d in corpus.documents(s)] for s in ("test", "validation"))
    needs_shots = max(config.num_fewshot) > 0
    metrics: dict[str, float] = {}
    for task in config.tasks:
        items = make_pairs(task, test, config.limit, config.seed)
        shots = make_pairs(task, validation, config.limit, config.seed) if needs_shots else []
        for num_fewshot in config.num_fewshot:
            rows, found = evaluate_prompts(
                scorer, encoder, task, items, shots, num_fewshot=num_fewshot, seed=config.seed
            )
            del found["items"]
            write_rows(run.out / f"{task}-{num_fewshot}.jsonl", rows)
            metrics |= {f"{task}/{_key(name, num_fewshot)}": value for name, value in found.items()}
        _, baseline = evaluate_prompts(bigram, encoder, task, items, [], num_fewshot=0, seed=config.seed)
        metrics |= {f"{task}/bigram_acc": baseline["acc"], f"{task}/items": len(items)}
    return metrics


def _key(name: str, num_fewshot: int) -> str:
    """Return ``acc/0`` for `acc` and ``acc/0/stderr`` for `acc/stderr`."""
    head, *tail = name.split("/")
    return "/".join([head, str(num_fewshot), *tail])
