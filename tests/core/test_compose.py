import pytest

from lmexp.core.compose import compose, expand
from lmexp.errors import ConfigError


def test_the_store_is_absolute_and_comes_from_the_command_the_environment_or_the_current_directory(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert compose(["+experiment=tiny"]).store == tmp_path / "outputs"
    monkeypatch.setenv("LMEXP_STORE", str(tmp_path / "there"))
    assert compose(["+experiment=tiny"]).store == tmp_path / "there"
    assert compose(["+experiment=tiny", "store=here"]).store == tmp_path / "here"


def test_paths_of_data_are_absolute_and_no_part_of_identity(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    composition = compose(["+experiment=tiny", "corpus=local", "corpus.files=[a.txt]"])
    assert composition.config.corpus.files == (str(tmp_path / "a.txt"),)
    assert "files" not in composition.handles["corpus"].identity()


def test_a_sweep_expands_to_its_points_in_hydras_order():
    assert expand(["+experiment=tiny", "seed=1,2", "model.num_layers=3,4"]) == [
        ["+experiment=tiny", "seed=1", "model.num_layers=3"],
        ["+experiment=tiny", "seed=1", "model.num_layers=4"],
        ["+experiment=tiny", "seed=2", "model.num_layers=3"],
        ["+experiment=tiny", "seed=2", "model.num_layers=4"],
    ]


def test_composing_leaves_hydra_as_it_was():
    from hydra.core.global_hydra import GlobalHydra

    before = GlobalHydra.instance().is_initialized()
    compose(["+experiment=tiny"])
    assert GlobalHydra.instance().is_initialized() == before


def test_a_pipeline_file_must_define_a_pipeline(tmp_path):
    path = tmp_path / "wrong.py"
    path.write_text("x = 1\n")
    with pytest.raises(ConfigError, match=r"must define pipeline\(config: C\)"):
        compose(["+experiment=tiny", f"pipeline={path}"])
