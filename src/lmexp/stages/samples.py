"""The samples stage: what a trained model writes, for people to read."""

from lmexp.core.graph.stage import Artifact, Metrics, StageRun, stage
from lmexp.core.values.config import build, to_dict
from lmexp.generation.config import SamplesConfig, SamplingConfig
from lmexp.stages.pretrain import ModelArtifact
from lmexp.stages.rows import write_rows
from lmexp.stages.tokenizer import TokenizerArtifact

SAMPLES = "samples.jsonl"


class SamplesArtifact(Artifact):
    """One row for each text, in `samples.jsonl`: prompt, text (without the prompt) and how it was drawn."""


@stage("samples", version=1, produces=SamplesArtifact, label=lambda config: f"{len(config.prompts)}-prompts")
def samples(
    run: StageRun, config: SamplesConfig, *, model: ModelArtifact, tokenizer: TokenizerArtifact
) -> Metrics:
    """Continue each prompt `num_samples` times; ``lmexp generate`` with a row's values prints its text."""
    from lmexp.generation.generate import generate_text

    network, encoder = model.load(), tokenizer.load()
    sampling = to_dict(config)
    prompts, num_samples = sampling.pop("prompts"), sampling.pop("num_samples")
    rows = []
    for prompt in prompts:
        for i in range(num_samples):
            drawn = {**sampling, "seed": config.seed + i}
            text = generate_text(network, encoder, prompt, build(SamplingConfig, drawn))
            rows.append({"prompt": prompt, "text": text, **drawn})
    write_rows(run.out / SAMPLES, rows)
    return {"texts": len(rows), "characters": sum(len(row["text"]) for row in rows)}
