"""What is refused before anything runs because the machine lacks it."""

import sys

import pytest

from lmexp import run
from lmexp.errors import ConfigError
from lmexp.training.machine import check_machine
from tests.training.pretrain_runs import tiny

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it looks for Linux's device files")


@linux
@pytest.mark.parametrize("accelerator", ["gpu", "cuda"])
def test_a_gpu_is_refused_in_a_sentence_where_there_is_no_device_file(tmp_path, accelerator):
    config = tiny(**{"trainer.accelerator": accelerator})
    (tmp_path / "nvidiactl").touch()  # the driver alone is no GPU
    with pytest.raises(ConfigError, match=rf"^trainer\.accelerator={accelerator} needs a GPU, and this"):
        check_machine(config, tmp_path)
    (tmp_path / "nvidia0").touch()
    check_machine(config, tmp_path)


@linux
def test_compiling_is_refused_in_a_sentence_where_there_is_no_compiler(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ConfigError, match=r"^trainer\.compile=on needs a compiler.*g\+\+.*trainer\.compile=off"
    ):
        check_machine(tiny(**{"trainer.compile": "on"}), tmp_path)
    for choice in ("auto", "off"):
        check_machine(tiny(**{"trainer.compile": choice}), tmp_path)


@pytest.mark.parametrize("accelerator", ["auto", "cpu"])
def test_what_runs_without_a_gpu_is_accepted(tmp_path, accelerator):
    check_machine(tiny(**{"trainer.accelerator": accelerator}), tmp_path)


@linux
def test_a_run_is_refused_before_its_first_stage(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("lmexp.models.device._GPU_FILES", ())
    store = tmp_path / "store"
    code = run.main(["+experiment=tiny", "trainer.accelerator=cuda", f"store={store}"])
    assert code == 2
    assert "trainer.accelerator=cuda needs a GPU" in capsys.readouterr().err
    assert not list(store.glob("runs/*"))
    assert not list(store.glob("artifacts/*/*"))
