"""The standard setting, whose plan is checked because eight GPUs are not at hand."""

import socket

import pytest

from lmexp.core.graph.compose import compose
from lmexp.core.running.session import plan_of
from lmexp.core.store.store import Store
from lmexp.models.build import build_model
from lmexp.training.optimization.optimizers import build_optimizer
from lmexp.training.optimization.schedules import lr_ratio

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def composition(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a plan whose revision is a commit needs no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    revision = f"corpus.sources.fineweb_edu.revision={COMMIT}"
    return compose(["+experiment=gpt2_124m", revision, f"store={tmp_path / 'store'}"])


def test_its_plan_is_the_standard_setting_on_eight_ranks(composition):
    plan = plan_of(composition, Store(composition.store))
    ranks = {stage.name: stage.handle.num_ranks for stage in plan.stages}
    assert ranks.pop("pretrain") == 8
    assert list(ranks) == ["corpus", "tokenizer", "packing", "perplexity", "baseline", "prompts", "samples"]
    assert set(ranks.values()) == {1}
    config = plan.by_name["pretrain"].handle.config
    assert config.world_size * config.resolved_micro_batch_size * config.accumulation == 512
    assert config.global_batch_size * config.model.context_length == 524_288
    tokens = config.trainer.max_steps * 524_288
    assert 0 <= 10_000_000_000 - tokens < 524_288
    assert config.trainer.precision == "bf16-mixed"
    assert config.trainer.gradient_clip_val == 1.0
    assert config.schedule.name == "cosine"
    assert [lr_ratio(config.schedule, step, config.trainer.max_steps) for step in (700, 19072)] == [1.0, 0.0]
    assert composition.handles["corpus"].config.sources["fineweb_edu"].subset == "sample-10BT"


def test_its_model_has_the_published_number_of_parameters_and_its_optimizer_the_published_settings(
    composition,
):
    config = composition.handles["pretrain"].config
    assert composition.handles["tokenizer"].config.vocab_size == 50257
    model = build_model(config.model, 50257)
    assert type(model).__name__ == "GPT2"
    assert model.num_parameters == 124_439_808
    for group in build_optimizer(config.optimizer, model).param_groups:
        assert (group["kind"], group["peak_lr"], group["betas"]) == ("adamw", 6e-4, (0.9, 0.95))
        matrices = all(p.ndim == 2 and p.shape[0] not in (1024, 50257) for p in group["params"])
        assert group["weight_decay"] == (0.1 if matrices else 0.0)
