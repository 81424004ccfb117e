"""Kinds of configurations that a user's own file adds: as a person gives them on the command line."""

import json
import subprocess
import sys

import pytest

SHAPES = """
from lmexp.core.values.config import Config, option
from lmexp.core.values.one_of import OneOf

class Ring(Config):
    radius: int = option(1)

class Block(Config):
    side: int = option(2)

SHAPES = OneOf(key="form", kinds={"ring": Ring, "block": Block}, unnamed="ring")
"""
PIPELINE = """
import json
from lmexp.core.graph.stage import Artifact, stage
from lmexp.core.values.config import Config, option, to_dict
from lmexp.core.values.settings import RunConfig
from shapes import SHAPES

class PaintConfig(Config):
    shape: Config = option(SHAPES.default(), one_of=SHAPES)

class FrameConfig(Config):
    width: int = option(1)

class Experiment(RunConfig):
    paint: PaintConfig = option(PaintConfig())
    frame: FrameConfig = option(FrameConfig())

class Picture(Artifact):
    pass

@stage("ext_paint", version=1, produces=Picture)
def paint(run, config: PaintConfig):
    shape = config.shape
    area = shape.area() if hasattr(shape, "area") else 0
    (run.out / "shape.json").write_text(json.dumps([type(shape).__name__, area]))
    return {"area": area}

@stage("ext_frame", version=1, produces=Picture)
def frame(run, config: FrameConfig, *, picture: Picture):
    (run.out / "frame.txt").write_text(f"{config.width}")
    return {"width": config.width}

@stage("ext_wall", version=1, produces=Picture)
def wall(run, config: FrameConfig):
    (run.out / "wall.txt").write_text(f"{config.width}")
    return {"width": config.width}

def pipeline(config: Experiment):
    picture = paint(config.paint)
    return {"paint": picture, "frame": frame(config.frame, picture=picture), "wall": wall(config.frame)}
"""
STAR = """
from lmexp.core.values.config import Config, option
from shapes import SHAPES
import geometry

class Star(Config):
    rays: int = option(5)

    def area(self):
        return geometry.area(self.rays)

SHAPES.register("star", Star, base=Config)
"""
GEOMETRY = "def area(rays):\n    return 10 * rays\n"
CONFIG = """
defaults:
  - engine
  - paint_schema
  - _self_
pipeline: paint
tracking: {mode: 'off'}
"""


@pytest.fixture
def here(tmp_path):
    """A folder with a pipeline, a union, an extension and the module that this imports."""
    for name, text in {
        "shapes.py": SHAPES,
        "pipelines/paint.py": PIPELINE,
        "star.py": STAR,
        "geometry.py": GEOMETRY,
        "configs/mine.yaml": CONFIG,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def give(here, *words, program="lmexp.run", cwd=None):
    flags = [] if program == "lmexp.cli" and words[0] not in ("plan", "why") else ["--config-dir", "configs"]
    flags += ["--config-name", "mine"] if flags else []
    command = [sys.executable, "-m", program, *words, *flags, "store=store"]
    return subprocess.run(command, check=False, cwd=cwd or here, capture_output=True, text=True, timeout=100)


def plan(here, *words):
    """Return the planned stages, after a plan that succeeds."""
    done = give(here, "plan", *words, "--json", program="lmexp.cli")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["stages"]


def fingerprints(here, *words):
    return {name: entry["fingerprint"] for name, entry in plan(here, *words).items()}


STARRED = ("extensions=[star.py]", "paint.shape.form=star")


def test_a_kind_of_an_extension_is_chosen_checked_run_reused_and_recorded(here):
    done = give(here, *STARRED, "paint.shape.rays=7")
    assert done.returncode == 0, done.stderr
    (made,) = (here / "store" / "artifacts" / "ext_paint").iterdir()
    assert json.loads((made / "shape.json").read_text()) == ["Star", 70]
    record = json.loads((made / "artifact.json").read_text())
    (entry,) = record["extensions"]
    assert (entry["file"], entry["kinds"]) == ("star.py", {"shape.form": "star"})
    assert {line.partition(" ")[0] for line in entry["code"]} >= {"Star", "Star.area", "area"}
    assert record["identity"]["shape"] == {"form": "star", "rays": 7}
    for other in ("ext_frame", "ext_wall"):
        (path,) = (here / "store" / "artifacts" / other).iterdir()
        assert "extensions" not in json.loads((path / "artifact.json").read_text())
    (run,) = (here / "store" / "runs").iterdir()
    assert json.loads((run / "run.json").read_text())["config"]["extensions"] == [str(here / "star.py")]
    again = plan(here, *STARRED, "paint.shape.rays=7")
    assert {entry["action"] for entry in again.values()} == {"reuse"}
    wrong = give(here, *STARRED, "paint.shape.ray=7")
    assert "paint.shape.ray is not a known key (did you mean 'rays'?)" in wrong.stderr
    assert wrong.returncode == 2


def test_the_code_of_an_extension_is_identity_of_the_stages_that_hold_its_kinds_alone(here):
    plain, given = fingerprints(here), fingerprints(here, "extensions=[star.py]")
    assert plain == given  # shipped kinds stay as they are
    starred = fingerprints(here, *STARRED)
    (here / "star.py").write_text(f"# a remark\n{STAR}")
    assert fingerprints(here, *STARRED) == starred
    (here / "star.py").rename(here / "sun.py")
    assert fingerprints(here, "extensions=[sun.py]", STARRED[1]) == starred
    (here / "sun.py").rename(here / "star.py")
    (here / "geometry.py").write_text(GEOMETRY.replace("10", "20"))
    edited = fingerprints(here, *STARRED)
    assert {name for name in starred if starred[name] != edited[name]} == {"paint", "frame"}
    assert fingerprints(here, "extensions=[star.py]") == plain


def test_why_a_stage_runs_names_what_was_edited_of_an_extension(here):
    assert give(here, *STARRED).returncode == 0
    (here / "geometry.py").write_text(GEOMETRY.replace("10", "20"))
    planned = plan(here, *STARRED)
    assert planned["paint"]["action"] == "run"
    assert planned["paint"]["reason"].startswith("the code of its extensions changed: area (nearest: ")
    assert planned["wall"]["action"] == "reuse"


@pytest.mark.parametrize(
    ("extensions", "text", "sentence"),
    [
        ("gone.py", None, "the extension gone.py is not there; there is no file {here}/gone.py."),
        (
            "notes.txt",
            "x",
            "the extension notes.txt is no Python file; give the path of one that ends in .py.",
        ),
        ("bad.py", "x = (", "{here}/bad.py:1: SyntaxError: '(' was never closed"),
        ("bad.py", "\n1 / 0", "{here}/bad.py:2: ZeroDivisionError: division by zero"),
        (
            "bad.py",
            'S("ring", Two)',
            "{here}/bad.py registers the form 'ring', which lmexp has; choose another",
        ),
        (
            "bad.py",
            'S("a b", Two)',
            "{here}/bad.py registers the form 'a b', which is no key; use letters, di",
        ),
        (
            "bad.py",
            'S("two", int)',
            "{here}/bad.py registers <class 'int'> as form 'two'; give a class of Con",
        ),
        ("bad.py", 'S("two", Formed)', "registers Formed as form 'two', and that class has a field form"),
        (
            "bad.py",
            'S("two", Two)\nS("three", Two)',
            "registers Two as form 'three', and it is 'two' already",
        ),
        (
            "star.py,bad.py",
            'S("star", Two)',
            "{here}/star.py and {here}/bad.py both register the form 'star'",
        ),
        (
            "star.py,more/star.py",
            "",
            "the extensions {here}/star.py and {here}/more/star.py have the same name",
        ),
        (
            "more/paint.py",
            "",
            "{here}/more/paint.py has the name of the pipeline {here}/pipelines/paint.py; ren",
        ),
    ],
)
def test_what_is_wrong_with_an_extension_is_one_sentence(here, extensions, text, sentence):
    head = (
        "from lmexp.core.values.config import Config, option\nfrom shapes import SHAPES\n"
        "class Two(Config):\n    n: int = option(2)\nclass Formed(Config):\n    form: int = option(2)\n"
        "from functools import partial\nS = partial(SHAPES.register, base=Config)\n"
    )
    if text is not None:
        path = here / extensions.rpartition(",")[2]
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{head if 'S(' in text else ''}{text}\n")
    done = give(here, "plan", f"extensions=[{extensions}]", program="lmexp.cli")
    assert sentence.format(here=here) in done.stderr
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, "")


def test_a_kind_without_its_extension_is_unknown_and_a_pipeline_registers_none_unasked(here):
    done = give(here, "plan", "paint.shape.form=star", program="lmexp.cli")
    assert "paint.shape.form must be one of ring, block, was 'star'" in done.stderr
    path = here / "pipelines" / "paint.py"
    path.write_text(f"{PIPELINE}\nSHAPES.register('whole', FrameConfig, base=Config)\n")
    done = give(here, "plan", "paint.shape.form=whole", program="lmexp.cli")
    assert done.stderr == (
        f"lmexp: paint.shape.form must be one of ring, block, was 'whole'; {path} defines it, name that with "
        f"extensions=[FILE.py].\n"
    )
    assert plan(here, f"extensions=[{path}]", "paint.shape.form=whole")["paint"]["action"] == "run"


def test_each_point_of_a_sweep_has_its_own_extensions_and_may_name_them_in_an_experiment(here):
    folder = here / "configs" / "experiment"
    folder.mkdir()
    text = "# @package _global_\nextensions: [star.py]\npaint: {shape: {form: star, rays: 3}}\n"
    (folder / "starry.yaml").write_text(text)
    done = give(here, "-m", "+experiment=starry", "paint.shape.form=star,block")
    assert done.returncode == 0, done.stderr
    made = [
        json.loads(path.read_text())
        for path in (here / "store" / "artifacts" / "ext_paint").glob("*/shape.json")
    ]
    assert sorted(made) == [["Block", 0], ["Star", 30]]


def test_a_store_names_no_code_that_is_then_run(here):
    """A replay names the kind and the file; with the file it computes the same, also from another place."""
    assert give(here, *STARRED).returncode == 0
    (made,) = (here / "store" / "artifacts" / "ext_paint").iterdir()
    (frame,) = (here / "store" / "artifacts" / "ext_frame").iterdir()
    for path in (made, frame):  # what reads such an artifact needs the file too
        done = give(here, "replay", "--pipeline", "pipelines/paint.py", path.name, program="lmexp.cli")
        assert done.returncode == 2
        assert done.stderr == (
            f"lmexp: ext_paint/{made.name} is of the form 'star', which a file star.py defined; lmexp runs "
            f"no code because a store names it, so give it with --with FILE.\n"
        )
    words = ("replay", "--pipeline", "pipelines/paint.py", "--with", "star.py", made.name)
    done = give(here, *words, program="lmexp.cli")
    assert (done.returncode, done.stdout) == (0, f"ext_paint/{made.name}  identical\n")
    (here / "geometry.py").write_text(GEOMETRY.replace("10", "20"))
    done = give(here, *words, program="lmexp.cli")
    assert done.returncode == 1
    assert "its code changed since: area" in done.stdout


def test_the_command_that_resumes_names_the_extensions(here):
    broken = STAR.replace("return geometry", "raise OSError('the star fell')\n        return geometry")
    (here / "star.py").write_text(broken)
    done = give(here, *STARRED)
    assert done.returncode == 1
    assert "To resume: " in done.stderr
    assert "'extensions=[star.py]' paint.shape.form=star" in done.stderr
