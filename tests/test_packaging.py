"""The same from a wheel as from a checkout, from any directory, with a user's own configs beside ours."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A directory that holds nothing but the unpacked wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def call(installed: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


def test_a_wheel_plans_the_shipped_experiments_from_any_directory(installed, tmp_path):
    done = call(installed, tmp_path, "lmexp.cli", "plan", "+experiment=tiny", "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    stages = ["corpus", "tokenizer", "packing", "pretrain", "perplexity", "prompts", "samples"]
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
from lmexp.core.config import Config, option
from lmexp.core.settings import RunConfig
from lmexp.core.stage import Artifact, Handle, Metrics, StageRun, stage


class HelloConfig(Config):
    times: int = option(1, ge=1)


class HelloExperiment(RunConfig):
    times: int = option(1, ge=1)


@stage("hello", version=1, produces=Artifact)
def hello(run: StageRun, config: HelloConfig) -> Metrics:
    (run.out / "hello.txt").write_text(" ".join(["hello"] * config.times))
    return {"times": config.times}


def pipeline(config: HelloExperiment) -> dict[str, Handle]:
    return {"hello": hello(HelloConfig(times=config.times))}
"""
