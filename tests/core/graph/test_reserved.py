"""Shipped names are reserved, and no code runs because of where a command is given or what a store says."""

import subprocess
import sys

import pytest

from lmexp.cli import main
from lmexp.core.graph.compose import compose
from lmexp.core.graph.reserved import find_pipeline
from lmexp.core.provenance.own import shipped
from lmexp.errors import ConfigError

TRAP = "from pathlib import Path\nPath(__file__).with_name('trapped').touch()\n"
EXPERIMENT = "# @package _global_\ndefaults: [/experiment/tiny, _self_]\ntrainer: {max_steps: 7}\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current directory with `conf/` and `pipelines/` of the user's own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "model").mkdir(parents=True)
    return tmp_path


def both(what, ours, own):
    return f"the {what} is a name that lmexp ships ({ours}), and {own} has it too; rename your own file"


def test_a_pipeline_with_a_shipped_name_is_an_error_with_both_paths_and_is_not_run(here):
    own = here / "pipelines" / "pretrain.py"
    own.write_text(TRAP)
    with pytest.raises(ConfigError) as raised:
        compose(["+experiment=tiny"])
    assert both("pipeline 'pretrain'", shipped("pipelines") / "pretrain.py", own) in str(raised.value)
    assert not (here / "pipelines" / "trapped").exists()


def test_pipelines_of_the_current_directory_run_by_their_own_names_alone(here):
    (here / "pipelines" / "mine.py").write_text(TRAP)
    (here / "pipelines" / "adopt.py").write_text(TRAP)
    assert compose(["+experiment=tiny"]).config.pipeline == "pretrain"
    assert not (here / "pipelines" / "trapped").exists()
    assert find_pipeline("mine") == here / "pipelines" / "mine.py"
    assert find_pipeline("pipelines/adopt.py") == here / "pipelines" / "adopt.py"  # named by its path
    with pytest.raises(ConfigError, match=r"there is no pipeline 'mime' \(did you mean 'mine'"):
        find_pipeline("mime")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("experiment/tiny", ["+experiment=tiny"]),
        ("model/gpt", ["+experiment=tiny"]),
        ("model/gpt2", ["+experiment=tiny", "model=gpt2"]),
        ("debug/fast", ["+experiment=tiny", "+debug=fast"]),
        ("config", ["+experiment=tiny"]),
        ("engine", ["+experiment=tiny"]),
        ("experiment/tiny", ["+experiment=mine"]),
    ],
)
def test_a_configuration_with_a_shipped_name_is_an_error_with_both_paths_where_it_is_used(here, name, words):
    own = here / "conf" / f"{name}.yaml"
    own.parent.mkdir(exist_ok=True)
    (here / "conf" / "experiment" / "mine.yaml").write_text(EXPERIMENT)
    own.write_text("# @package _global_\nseed: 5\n")
    with pytest.raises(ConfigError) as raised:
        compose(words)
    assert both(f"configuration {name!r}", shipped("conf") / f"{name}.yaml", own) in str(raised.value)


def test_a_collision_is_found_before_a_key_that_the_users_own_file_would_have(here):
    (here / "conf" / "experiment" / "tiny.yaml").write_text("# @package _global_\nown: 1\n")
    with pytest.raises(ConfigError, match="name that lmexp ships"):
        compose(["+experiment=tiny", "own=2"])


def test_own_configurations_are_used_by_their_own_names_beside_unused_collisions(here):
    (here / "conf" / "experiment" / "mine.yaml").write_text(EXPERIMENT)
    (here / "conf" / "model" / "gpt2.yaml").write_text("num_layers: 1\n")
    (here / "conf" / "evaluate.yaml").write_text("defaults: [engine]\n")
    assert compose(["+experiment=mine"]).config.trainer.max_steps == 7


def test_the_shipped_files_do_not_collide_with_themselves(monkeypatch):
    monkeypatch.chdir(shipped("conf").parent)
    assert compose(["+experiment=tiny"]).config.pipeline == "pretrain"


def test_the_run_and_the_plan_refuse_alike(here, capsys):
    from lmexp.run import main as run

    (here / "conf" / "experiment" / "tiny.yaml").write_text("# @package _global_\nseed: 5\n")
    codes = [run(["+experiment=tiny"]), run(["-m", "+experiment=tiny", "seed=1,2"])]
    codes.append(main(["plan", "+experiment=tiny"]))
    assert codes == [2, 2, 2]
    assert (
        capsys.readouterr().err.count("the configuration 'experiment/tiny' is a name that lmexp ships") == 3
    )
    assert not (here / "outputs").exists()


def test_files_of_the_current_directory_are_not_imported_for_libraries(tmp_path):
    for name in ("yaml.py", "argparse.py", "hydra_plugins/trap.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(TRAP)
    command = [sys.executable, "-m", "lmexp.run", "+experiment=tiny", "--cfg", "job"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("trapped"))
