"""The pretrain stage: a network trained from its initial weights, one or several ranks."""

from pathlib import Path

from lmexp.core.graph.stage import Metrics, StageRun, stage
from lmexp.core.values.config import identity
from lmexp.errors import Diverged
from lmexp.stages.model_artifact import ModelArtifact
from lmexp.stages.packing import PackingArtifact
from lmexp.stages.tokenizer import TokenizerArtifact
from lmexp.training.config import PretrainConfig
from lmexp.training.machine import check_machine
from lmexp.training.needs import check_inputs


def _label(config: PretrainConfig) -> str:
    return f"{config.model.label}-{config.trainer.max_steps}"


def _hints(config: PretrainConfig) -> list[str]:
    if "next_token" in config.model.can:
        return []
    if "any_order" in config.model.can:
        return [
            f"{config.model.label} gives a text a bound of its probability: it is trained and measured, it "
            f"writes, and prompts, which compare probabilities, are left out"
        ]
    return [
        f"{config.model.label} gives no next token a probability: it is trained, and what the main "
        f"pipeline measures and writes with a model is left out"
    ]


@stage(
    "pretrain",
    version=1,
    produces=ModelArtifact,
    ranks=lambda config: config.world_size,
    resumes=True,
    total_steps=lambda config: config.trainer.max_steps,
    label=_label,
    hints=_hints,
    check_machine=check_machine,
    check_inputs=check_inputs,
)
def pretrain(
    run: StageRun, config: PretrainConfig, *, packing: PackingArtifact, tokenizer: TokenizerArtifact
) -> Metrics:
    """Train on the train split; continue from `work/checkpoints` where an attempt left one."""
    run.say("imports torch and Lightning")
    from lmexp.models.card import model_card
    from lmexp.models.finite import first_not_finite
    from lmexp.models.folder import save_network
    from lmexp.tokenizer.export import export_tokenizer
    from lmexp.training.finite import not_finite
    from lmexp.training.pretrain import pretrain as train
    from lmexp.training.ranks import close_group
    from lmexp.training.snapshots import load_snapshot
    from lmexp.training.validation import HeldOut

    store, sample_length = packing.load(), config.resolved_sample_length
    held_out = None
    if config.validation_every_steps is not None:
        validation = store.split("validation").samples(sample_length)
        held_out = HeldOut(samples=validation, token_bytes=tokenizer.load().token_bytes)
    result = train(
        config,
        samples=store.split("train").samples(sample_length),
        vocab_size=store.vocab_size,
        eos_token_id=store.eos_token_id,
        held_out=held_out,
        checkpoints=run.work / "checkpoints",
        cache=run.cache,
        log=run.log,
        say=run.say,
        note=run.note,
        should_stop=run.should_stop,
    )
    if run.rank == 0 and not result.stopped:

        def publish(folder: Path, steps: int) -> None:
            name = first_not_finite(result.model.state_dict())
            if name is not None:
                raise Diverged(not_finite(config, f"{name} is not finite in the weights to publish"))
            save_network(result.model, folder, eos_token_id=store.eos_token_id)
            files = [*tokenizer.files("tokenizer*"), *tokenizer.files("special_tokens*")]
            export_tokenizer(files, folder, model_max_length=config.model.longest)
            card = model_card(
                result.model, _label(config), steps=steps, settings=identity(config), inputs=inputs
            )
            (folder / "README.md").write_text(card, encoding="utf-8")

        inputs = [f"{a.path.parent.name}/{a.path.name}" for a in (packing, tokenizer)]
        publish(run.out, int(result.metrics.get("best_step", config.trainer.max_steps)))
        for step, path in result.snapshots.items():
            load_snapshot(result.model, path)
            publish(run.out / "steps" / str(step), step)
    close_group()
    return {**result.metrics, "stopped": int(result.stopped)}
