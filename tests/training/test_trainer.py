"""Lightning's Trainer holds what the configuration says, whatever the environment says."""

import inspect

import pytest
import pytorch_lightning as pl
import torch

from lmexp.errors import StageError
from lmexp.training.trainer import build_trainer
from tests.training.pretrain_runs import run, tiny

ARGUMENTS = sorted(set(inspect.signature(pl.Trainer.__init__).parameters) - {"self"})
HOSTILE = {
    **dict.fromkeys(ARGUMENTS, "7"),
    "accelerator": "cuda",
    "strategy": "ddp_spawn",
    "precision": "bf16-true",
    "max_time": "00:00:00:01",
    "limit_train_batches": "0.01",
    "overfit_batches": "0.5",
    "detect_anomaly": "True",
    "deterministic": "warn",
    "gradient_clip_algorithm": "value",
    "profiler": "simple",
    "default_root_dir": "/elsewhere",
    "model_registry": "theirs",
    "check_val_every_n_epoch": "3",
    "logger": "True",
}


@pytest.fixture
def hostile(monkeypatch):
    for name, value in HOSTILE.items():
        monkeypatch.setenv(f"PL_TRAINER_{name.upper()}", value)


def state(trainer):
    """What each argument has become in a Trainer."""
    connector = trainer._accelerator_connector
    return {
        "accelerator": type(trainer.accelerator).__name__,
        "accumulate_grad_batches": trainer.accumulate_grad_batches,
        "barebones": trainer.barebones,
        "benchmark": torch.backends.cudnn.benchmark,
        "callbacks": trainer.callbacks,
        "check_val_every_n_epoch": trainer.check_val_every_n_epoch,
        "default_root_dir": trainer.default_root_dir,
        "detect_anomaly": trainer._detect_anomaly,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "devices": trainer.num_devices,
        "enable_autolog_hparams": trainer.enable_autolog_hparams,
        "enable_checkpointing": trainer.checkpoint_callbacks,
        "enable_model_summary": [c for c in trainer.callbacks if isinstance(c, pl.callbacks.ModelSummary)],
        "enable_progress_bar": trainer.progress_bar_callback,
        "fast_dev_run": trainer.fast_dev_run,
        "gradient_clip_algorithm": str(trainer.gradient_clip_algorithm.value),
        "gradient_clip_val": trainer.gradient_clip_val,
        "inference_mode": trainer.validate_loop.inference_mode,
        "limit_predict_batches": trainer.limit_predict_batches,
        "limit_test_batches": trainer.limit_test_batches,
        "limit_train_batches": trainer.limit_train_batches,
        "limit_val_batches": trainer.limit_val_batches,
        "log_every_n_steps": trainer.log_every_n_steps,
        "logger": trainer.loggers,
        "max_epochs": trainer.max_epochs,
        "max_steps": trainer.max_steps,
        "max_time": [c for c in trainer.callbacks if isinstance(c, pl.callbacks.Timer)],
        "min_epochs": trainer.min_epochs,
        "min_steps": trainer.min_steps,
        "model_registry": trainer._model_registry,
        "num_nodes": trainer.num_nodes,
        "num_sanity_val_steps": trainer.num_sanity_val_steps,
        "overfit_batches": trainer.overfit_batches,
        "plugins": type(connector.cluster_environment).__name__,
        "precision": trainer.precision,
        "profiler": type(trainer.profiler).__name__,
        "reload_dataloaders_every_n_epochs": trainer.reload_dataloaders_every_n_epochs,
        "strategy": type(trainer.strategy).__name__,
        "sync_batchnorm": connector._layer_sync,
        "use_distributed_sampler": connector.use_distributed_sampler,
        "val_check_interval": trainer.val_check_interval,
    }


@pytest.mark.parametrize(
    ("precision", "clip", "micro_batch_size"), [("32-true", 0.5, 3), ("bf16-mixed", None, None)]
)
def test_the_whole_state_of_the_trainer_is_that_of_the_configuration(
    tmp_path, hostile, precision, clip, micro_batch_size
):
    config = tiny(
        **{
            "trainer.precision": precision,
            "trainer.gradient_clip_val": clip,
            "trainer.max_steps": 31,
            "trainer.log_every_n_steps": 5,
            "micro_batch_size": micro_batch_size,
        }
    )
    callbacks = [pl.Callback()]
    found = state(build_trainer(config, tmp_path, callbacks))
    assert sorted(found) == ARGUMENTS, "an argument that Lightning has and this test does not know"
    assert found == {
        "accelerator": "CPUAccelerator",
        "accumulate_grad_batches": 4 if micro_batch_size else 1,
        "barebones": False,
        "benchmark": False,
        "callbacks": callbacks,
        "check_val_every_n_epoch": 1,
        "default_root_dir": str(tmp_path),
        "detect_anomaly": False,
        "deterministic": False,
        "devices": 1,
        "enable_autolog_hparams": False,
        "enable_checkpointing": [],
        "enable_model_summary": [],
        "enable_progress_bar": None,
        "fast_dev_run": False,
        "gradient_clip_algorithm": "norm",
        "gradient_clip_val": clip,
        "inference_mode": True,
        "limit_predict_batches": 1.0,
        "limit_test_batches": 1.0,
        "limit_train_batches": 1.0,
        "limit_val_batches": 1.0,
        "log_every_n_steps": 5,
        "logger": [],
        "max_epochs": -1,
        "max_steps": 31,
        "max_time": [],
        "min_epochs": None,
        "min_steps": None,
        "model_registry": None,
        "num_nodes": 1,
        "num_sanity_val_steps": 0,
        "overfit_batches": 0.0,
        "plugins": "LightningEnvironment",
        "precision": precision,
        "profiler": "PassThroughProfiler",
        "reload_dataloaders_every_n_epochs": 0,
        "strategy": "SingleDeviceStrategy",
        "sync_batchnorm": None,
        "use_distributed_sampler": False,
        "val_check_interval": 1.0,
    }


def test_every_argument_is_given_so_that_the_environment_is_not_asked(tmp_path, monkeypatch):
    given = {}

    class Recorded(pl.Trainer):
        def __init__(self, **arguments):
            given.update(arguments)
            super().__init__(**arguments)

    monkeypatch.setattr(pl, "Trainer", Recorded)
    build_trainer(tiny(), tmp_path, [])
    assert sorted(given) == ARGUMENTS


def test_training_is_the_same_bits_under_a_hostile_environment(tmp_path, monkeypatch, request):
    expected, curve = run({}, tmp_path / "calm")
    request.getfixturevalue("hostile")
    result, points = run({}, tmp_path / "hostile")
    assert [p["train/loss"] for p in points] == [p["train/loss"] for p in curve]
    for name, weight in expected.model.state_dict().items():
        assert torch.equal(weight, result.model.state_dict()[name]), name


def test_a_training_that_ends_early_for_a_reason_of_its_own_is_no_result(tmp_path):
    class Impatient(pl.Callback):
        def on_train_batch_end(self, trainer, *_):
            trainer.should_stop = trainer.global_step == 7

    def with_another(config, directory, callbacks):
        trainer = build_trainer(config, directory, callbacks)
        trainer.callbacks.append(Impatient())
        return trainer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lmexp.training.pretrain.build_trainer", with_another)
        with pytest.raises(StageError, match=r"ended after 7 of trainer\.max_steps=12 steps"):
            run({}, tmp_path)


def test_a_callback_that_a_package_adds_is_refused(tmp_path, monkeypatch):
    class Theirs(pl.Callback):
        pass

    monkeypatch.setattr(
        "pytorch_lightning.trainer.connectors.callback_connector._load_external_callbacks",
        lambda _: [Theirs()],
    )
    with pytest.raises(StageError, match=r"adds the callback tests\.training\.test_trainer\..*Theirs"):
        build_trainer(tiny(), tmp_path, [])
