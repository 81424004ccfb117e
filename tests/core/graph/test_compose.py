import pytest

from lmexp.core.graph.compose import compose
from lmexp.core.graph.loading import load_file
from lmexp.core.graph.multirun import expand
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


def test_any_key_of_a_named_entry_is_set_without_a_plus_and_a_misspelt_one_is_a_sentence():
    config = compose(["+experiment=tiny", "corpus=known", "corpus.sources.known.process=grammar"]).config
    assert config.corpus.sources["known"].process == "grammar"
    with pytest.raises(ConfigError, match=r"corpus\.sources\.known\.proces .* \(did you mean 'process'\?\)"):
        compose(["+experiment=tiny", "corpus=known", "corpus.sources.known.proces=grammar"])


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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = (\n", "wrong.py:1: SyntaxError"),
        ("import nowhere_to_be_found\n", "wrong.py:1: ModuleNotFoundError"),
        ("x = 1\n\ny = 1 / 0\n", "wrong.py:3: ZeroDivisionError"),
    ],
)
def test_a_pipeline_file_that_cannot_be_imported_is_named_with_its_line(tmp_path, text, words):
    path = tmp_path / "wrong.py"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        compose(["+experiment=tiny", f"pipeline={path}"])


def test_an_edited_pipeline_file_is_read_again(tmp_path):
    path = tmp_path / "mine.py"
    for version in (1, 22):
        path.write_text(f"VERSION = {version}\n")
        assert version == load_file(path).VERSION


@pytest.mark.parametrize("text", ["model: [1,", "a: 1\na: 2", b"\xff\xfe"])
def test_a_broken_configuration_file_is_one_sentence(tmp_path, text):
    (tmp_path / "experiment").mkdir()
    path = tmp_path / "experiment" / "broken.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as error:
        compose(["+experiment=broken"], config_dir=str(tmp_path))
    assert "\n" not in str(error.value)


def test_a_notebook_that_uses_hydra_itself_can_compose(tmp_path):
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        assert compose(["+experiment=tiny"]).experiment == "tiny"
        assert GlobalHydra.instance().is_initialized()


def test_a_key_that_a_users_configuration_leaves_out_is_no_typo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "bare.yaml").write_text("defaults: [engine, _self_]\npipeline: pretrain\n")
    with pytest.raises(ConfigError, match=r"write \+corpus.test_fraction=VALUE, or add the pipeline's"):
        compose(["corpus.test_fraction=0.1"], config_name="bare")


def test_the_keys_of_a_users_pipeline_are_known_where_its_schema_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("conf", "pipelines"):
        (tmp_path / name).mkdir()
    (tmp_path / "pipelines" / "bell.py").write_text(
        "from lmexp.core.values.config import option\n"
        "from lmexp.core.values.settings import RunConfig\n"
        "class Bell(RunConfig):\n"
        "    strokes: int = option(1)\n"
        "def pipeline(config: Bell):\n"
        "    return {}\n"
    )
    (tmp_path / "conf" / "bell.yaml").write_text(
        "defaults:\n  - engine\n  - bell_schema\n  - _self_\npipeline: bell\n"
    )
    assert compose(["strokes=7"], config_name="bell").config.strokes == 7
    with pytest.raises(ConfigError, match="did you mean 'strokes'"):
        compose(["stroeks=7"], config_name="bell")


def test_changes_are_what_the_overrides_change_of_the_experiment_as_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert compose(["+experiment=tiny"]).changes() == {}
    assert compose(["+experiment=tiny", "store=x", "tracking.mode=off", "force=[corpus]"]).changes() == {}
    overrides = ["+experiment=tiny", "model.num_layers=3", "optimizer=muon", "seed=0"]
    changes = compose(overrides).changes()
    assert changes["model.num_layers"] == [2, 3]
    assert changes["optimizer.name"] == ["adamw", "muon"]
    assert "seed" not in changes, "0 is what the experiment has"
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    mine = tmp_path / "conf" / "experiment" / "mine.yaml"
    for layers in (5, 6):  # an edited file is read again
        mine.write_text(f"# @package _global_\ndefaults: [tiny, _self_]\nmodel: {{num_layers: {layers}}}\n")
        assert compose(["+experiment=mine", "model.num_layers=7"]).changes() == {
            "model.num_layers": [layers, 7]
        }


def test_an_editors_lock_beside_a_configuration_stops_no_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / ".#mine.yaml").symlink_to("somebody@host.123:456")
    assert compose(["+experiment=tiny", "seed=3"]).changes() == {"seed": [0, 3]}


def test_an_experiment_file_without_its_package_line_is_told_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "bare.yaml").write_text("seed: 3\n")
    with pytest.raises(ConfigError, match=r"file bare\.yaml must begin with the line '# @package _global_'"):
        compose(["+experiment=bare", "trainer.max_steps=1"])


def test_an_unknown_primary_configuration_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'evaluate'"):
        compose(["model.path=x"], config_name="evaluat")
