"""The samples stage: what a trained model writes, for people to read."""

from lmexp.core.graph.stage import Artifact, Metrics, StageRun, stage
from lmexp.core.values.config import part, to_dict
from lmexp.generation.config import SamplesConfig, SamplingConfig
from lmexp.models.device import check_device, computing
from lmexp.stages.model_artifact import ModelArtifact
from lmexp.stages.rows import write_rows
from lmexp.stages.tokenizer import TokenizerArtifact

SAMPLES = "samples.jsonl"


class SamplesArtifact(Artifact):
    """One row for each text, in `samples.jsonl`: prompt, text (without the prompt) and how it was drawn."""


@stage(
    "samples",
    version=1,
    produces=SamplesArtifact,
    label=lambda config: f"{len(config.prompts)}-prompts",
    check_machine=check_device("samples"),
)
def samples(
    run: StageRun, config: SamplesConfig, *, model: ModelArtifact, tokenizer: TokenizerArtifact
) -> Metrics:
    """Continue each prompt `num_samples` times; ``lmexp generate`` with a row's values prints its text."""
    from lmexp.generation.generate import generate_texts

    drawn = [(prompt, config.seed + i) for prompt in config.prompts for i in range(config.num_samples)]
    sampling = part(config, SamplingConfig)
    with computing(model.load(), config, "samples") as network:
        texts = generate_texts(
            network,
            tokenizer.load(),
            [prompt for prompt, _ in drawn],
            sampling,
            seeds=[seed for _, seed in drawn],
        )
    rows = [
        {"prompt": prompt, "text": text, **to_dict(sampling), "seed": seed}
        for (prompt, seed), text in zip(drawn, texts, strict=True)
    ]
    write_rows(run.out / SAMPLES, rows)
    return {"texts": len(rows), "characters": sum(len(row["text"]) for row in rows)}
