"""The same from a wheel as from a checkout, from any directory, with a user's own configs beside ours."""

import json
import os
import shlex
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel) -> Path:
    """A directory that holds nothing but the unpacked wheel."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(wheel.parent / "site")
    return wheel.parent / "site"


@pytest.fixture(scope="module")
def tool(wheel) -> Path:
    """The script of the wheel in an environment of its own, as tool managers install it."""
    home = wheel.parent / "tool"
    venv.create(home, with_pip=False)
    (site,) = home.glob("lib/python*/site-packages")
    others = [path for path in sys.path if path.endswith("-packages")]
    (site / "dependencies.pth").write_text("\n".join(others))
    pip = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install", "-q"]
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True, capture_output=True)
    return home / "bin" / "lmexp"


def give(tool: Path, cwd: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Give a command as a person whose shell finds the tool by its name."""
    environment = {**os.environ, "PATH": f"{tool.parent}:/usr/bin:/bin", **variables}
    environment.pop("PYTHONPATH", None)
    command = ["lmexp", *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


def test_a_tools_script_runs_sweeps_resumes_and_prints_hints_that_it_can_be_given(tool, tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "hello.yaml").write_text("defaults: [engine, _self_]\npipeline: hello\ntimes: 3\n")
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "hello.py").write_text(HELLO)
    failing = ["run", "--config-name", "hello", "times=13"]
    done = give(tool, tmp_path, *failing)
    assert done.returncode == 1, done.stderr
    assert "To resume: lmexp run --config-name hello times=13\n" in done.stderr
    done = give(tool, tmp_path, "run", "--config-name", "hello", "-m", "times=1,2", "store=a b")
    assert done.returncode == 0, done.stderr
    (sync,) = {line.partition("with: ")[2] for line in done.stdout.splitlines() if "with: " in line}
    assert shlex.split(sync) == ["lmexp", "sync", f"store='{tmp_path / 'a b'}'"]
    done = give(tool, tmp_path, *shlex.split(sync)[1:], "timeout_s=x")
    assert (done.returncode, "timeout_s must be seconds" in done.stderr) == (2, True), "the store is found"
    (run, *_) = (tmp_path / "a b" / "runs").glob("*/run.json")
    assert json.loads(run.read_text())["command"][:2] == ["lmexp", "run"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--version"], "lmexp 0."),
        (["run", "--version"], "(Hydra 1.3"),
        (["--help"], "lmexp VERB --help"),
        (["gc", "--help"], "--delete"),
        (["run", "--help"], "usage: lmexp run [-m]"),
        (["run", "--info", "plugins"], "Installed Hydra Plugins"),
        (["run", "+experiment=tiny", "--cfg", "job", "--package", "model"], "num_layers: 2"),
        (["completion", "bash"], "complete -o default -F _lmexp lmexp"),
        (["run", "--shell-completion", "install=zsh"], "compdef _lmexp lmexp"),
        (["completion", "query", "--", "lmexp run +experiment=ti"], "+experiment=tiny"),
    ],
)
def test_a_tools_script_informs(tool, tmp_path, words, expected):
    done = give(tool, tmp_path, *words)
    assert (done.returncode, expected in done.stdout) == (0, True), done.stdout + done.stderr


def call(installed: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


def test_a_wheel_plans_the_shipped_experiments_from_any_directory(installed, tmp_path):
    done = call(installed, tmp_path, "lmexp.cli", "plan", "+experiment=tiny", "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    stages = ["corpus", "tokenizer", "packing", "pretrain", "perplexity", "baseline", "prompts", "samples"]
    assert list(plan["stages"]) == stages
    assert plan["store"] == str(tmp_path / "outputs")


def test_the_wheel_holds_what_the_checkout_holds(installed):
    for name in ("conf", "pipelines"):
        ours = {p.relative_to(ROOT / name) for p in (ROOT / name).rglob("*") if p.suffix in (".yaml", ".py")}
        theirs = {
            p.relative_to(installed / "lmexp" / f"_{name}")
            for p in (installed / "lmexp" / f"_{name}").rglob("*")
        }
        assert ours <= theirs


def test_the_wheel_holds_the_embedded_tasks(installed):
    here, there = (root / "evals" / "data" for root in (ROOT / "src" / "lmexp", installed / "lmexp"))
    names = {path.name for path in here.iterdir()}
    assert names == {path.name for path in there.iterdir()}
    assert {"sentence_choice.yaml", "sentence_choice.jsonl"} <= names


def test_configs_and_pipelines_of_the_current_directory_are_found_beside_the_shipped_ones(
    installed, tmp_path
):
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    mine = "# @package _global_\ndefaults: [tiny, _self_]\nmodel: {num_layers: 1}\n"
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text(mine)
    (tmp_path / "conf" / "hello.yaml").write_text("defaults: [engine, _self_]\npipeline: hello\ntimes: 3\n")
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "hello.py").write_text(HELLO)
    done = call(installed, tmp_path, "lmexp.cli", "plan", "+experiment=mine")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("run mine-")
    done = call(installed, tmp_path, "lmexp.cli", "plan", "--config-name", "hello", "times=2")
    assert done.returncode == 0, done.stderr
    done = call(installed, tmp_path, "lmexp.run", "--config-name", "hello", "times=2", "tracking.mode=off")
    assert done.returncode == 0, done.stderr
    assert [p.read_text() for p in tmp_path.glob("outputs/artifacts/hello/*/hello.txt")] == ["hello hello"]


HELLO = """
from lmexp.core.values.config import Config, option
from lmexp.core.values.settings import RunConfig
from lmexp.core.graph.stage import Artifact, Handle, Metrics, StageRun, stage


class HelloConfig(Config):
    times: int = option(1, ge=1)


class HelloExperiment(RunConfig):
    times: int = option(1, ge=1)


@stage("hello", version=1, produces=Artifact)
def hello(run: StageRun, config: HelloConfig) -> Metrics:
    if config.times == 13:
        raise ValueError("an unlucky number")
    (run.out / "hello.txt").write_text(" ".join(["hello"] * config.times))
    return {"times": config.times}


def pipeline(config: HelloExperiment) -> dict[str, Handle]:
    return {"hello": hello(HelloConfig(times=config.times))}
"""
