"""lmexp's stages and one of your own: which tokens of a held-out document surprise a model the most?"""

import json
import math

from lmexp import load_model, load_tokenizer, stages
from lmexp.core.graph.stage import Artifact, Handle, Metrics, StageRun, stage
from lmexp.core.values.config import Config, option
from lmexp.core.values.settings import RunConfig
from lmexp.corpus.config import CorpusConfig
from lmexp.models.config import ModelConfig
from lmexp.models.families import NETWORKS
from lmexp.packing.config import PackingConfig
from lmexp.stages import CorpusArtifact, ModelArtifact
from lmexp.tokenizer.config import ByteBPEConfig
from lmexp.training.config import PretrainConfig, TrainerConfig
from lmexp.training.optimization.config import OptimizerConfig, ScheduleConfig


class SurpriseConfig(Config):
    """What is listed."""

    top: int = option(default=20, ge=1)
    """How many tokens are listed."""


class SurpriseExperiment(RunConfig):
    """The keys of this pipeline."""

    corpus: CorpusConfig = option(default=CorpusConfig())
    tokenizer: ByteBPEConfig = option(default=ByteBPEConfig())
    model: ModelConfig = option(default=NETWORKS.default(), one_of=NETWORKS)
    schedule: ScheduleConfig = option(default=ScheduleConfig())
    max_steps: int = option(default=60, ge=1)
    surprise: SurpriseConfig = option(default=SurpriseConfig())


@stage("surprise", produces=Artifact)
def surprise(
    run: StageRun, config: SurpriseConfig, *, model: ModelArtifact, corpus: CorpusArtifact
) -> Metrics:
    """List the tokens of the first held-out document that cost the most bits, in ``surprise.json``."""
    import torch

    network, tokenizer = load_model(model.path), load_tokenizer(model.path)
    document = next(iter(corpus.documents("test")))
    ids = tokenizer.encode(document.text)[: network.config.context_length]
    inputs = torch.tensor([[tokenizer.eos_token_id, *ids[:-1]]])  # end-of-text begins a document
    with torch.inference_mode():
        log_probs = network(inputs).log_softmax(dim=-1)[0]
    bits = [-float(log_probs[i, token]) / math.log(2) for i, token in enumerate(ids)]
    order = sorted(range(len(ids)), key=bits.__getitem__, reverse=True)[: config.top]
    rows = [{"position": i, "token": tokenizer.decode([ids[i]]), "bits": round(bits[i], 3)} for i in order]
    (run.out / "surprise.json").write_text(json.dumps({"document": document.id, "tokens": rows}, indent=2))
    return {"bits_per_token": sum(bits) / len(bits), "most_bits": bits[order[0]]}


def pipeline(config: SurpriseExperiment) -> dict[str, Handle]:
    """Return the stages by name; nothing runs here."""
    training = PretrainConfig(
        model=config.model,
        optimizer=OptimizerConfig(),
        schedule=config.schedule,
        trainer=TrainerConfig(max_steps=config.max_steps),
        global_batch_size=8,
    )
    corpus = stages.corpus(config.corpus)
    tokenizer = stages.tokenizer(config.tokenizer, corpus=corpus)
    packing = stages.packing(PackingConfig(), corpus=corpus, tokenizer=tokenizer)
    model = stages.pretrain(training, packing=packing, tokenizer=tokenizer)
    found = surprise(config.surprise, model=model, corpus=corpus)
    return {
        "corpus": corpus,
        "tokenizer": tokenizer,
        "packing": packing,
        "pretrain": model,
        "surprise": found,
    }
