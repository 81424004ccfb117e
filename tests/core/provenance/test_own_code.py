"""The code of a user's own stages, from the pipeline file to fingerprints, plans and records."""

import importlib
import sys

import pytest

from lmexp.core.graph.loading import load_file
from lmexp.core.graph.plan import make_plan
from lmexp.core.graph.stage import _REGISTRY
from lmexp.core.provenance import own
from lmexp.core.running.console import plan_lines
from lmexp.core.running.executor import execute
from lmexp.core.values.settings import ExecutorConfig
from lmexp.errors import ConfigError, StageError
from tests.core.conftest import Silent

PIPELINE = '''
from lmexp.core.values.config import Config, option
from lmexp.core.values.settings import RunConfig
from lmexp.core.graph.stage import Artifact, Handle, Metrics, StageRun, stage

import near_letters


class Count(Config):
    """What is counted."""

    top: int = option(3)


class Words(Artifact):
    def load(self) -> int:
        return int((self.path / "words").read_text())


@stage("own_words"WORDS, produces=Words)
def words(run: StageRun, config: Count) -> Metrics:
    (run.out / "words").write_text(str(near_letters.words(config.top)))
    return {}


@stage("own_count"COUNT, produces=Artifact)
def count(run: StageRun, config: Count, *, words: Words) -> Metrics:
    from far_letters import more

    return {"count": more(words.load())}


class Letters(RunConfig):
    count: Count = option(Count())


def pipeline(config: Letters) -> dict[str, Handle]:
    found = words(config.count)
    return {"words": found, "count": count(config.count, words=found)}
'''
NEAR = '"""Near."""\n\n\ndef words(top):\n    return top + 1\n'
FAR = "def more(value):\n    return value * 2\n"


class Project:
    """A folder with a pipeline of two stages, each with a helper."""

    def __init__(self, folder, store):
        self.folder, self.store = folder, store
        self.file = folder / "pipelines" / "letters_of_test.py"
        self.file.parent.mkdir()
        self.write()
        (folder / "near_letters.py").write_text(NEAR)
        (folder / "pipelines" / "far_letters.py").write_text(FAR)

    def write(self, words="", count=""):
        self.file.write_text(PIPELINE.replace("WORDS", words).replace("COUNT", count))

    def edit(self, name, old, new):
        text = (self.folder / name).read_text()
        assert old in text
        (self.folder / name).write_text(text.replace(old, new))

    def plan(self):
        module = load_file(self.file)
        return make_plan(module.pipeline(module.Letters()), self.store)

    def fingerprints(self):
        return {stage.name: stage.fingerprint for stage in self.plan().stages}

    def lines(self):
        plan = self.plan()
        return plan_lines(plan, plan.verdicts(self.store), {})

    def run(self):
        return execute(self.plan(), self.store, ExecutorConfig(), Silent())


@pytest.fixture
def project(tmp_path, store, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(own, "_folders", {})
    importlib.invalidate_caches()
    yield Project(tmp_path, store)
    for name in ("near_letters", "far_letters", "lmexp_user_letters_of_test"):
        sys.modules.pop(name, None)
    for name in ("own_words", "own_count"):
        _REGISTRY.pop(name, None)


def moved(before, after):
    return [name for name in before if before[name] != after[name]]


def test_editing_a_helper_moves_its_stage_and_what_depends_on_it_and_a_comment_moves_nothing(project):
    before = project.fingerprints()
    project.edit("pipelines/far_letters.py", "value * 2", "value * 2  # twice")
    project.edit("near_letters.py", '"""Near."""', '"""At hand."""')
    assert project.fingerprints() == before
    project.edit("pipelines/far_letters.py", "value * 2", "value * 3")
    assert moved(before, project.fingerprints()) == ["count"]
    before = project.fingerprints()
    project.edit("near_letters.py", "top + 1", "top + 2")
    assert moved(before, project.fingerprints()) == ["words", "count"]


def test_a_stage_with_a_version_is_identified_by_it_alone(project):
    project.write(words=", version=1", count=", version=1")
    before = project.fingerprints()
    project.edit("near_letters.py", "top + 1", "top + 2")
    project.edit("pipelines/far_letters.py", "value * 2", "value * 3")
    assert project.fingerprints() == before
    project.write(words=", version=1", count=", version=2")
    assert moved(before, project.fingerprints()) == ["count"]
    project.write(words=", version=1")
    assert moved(before, project.fingerprints()) == ["count"]


def test_plans_name_what_changed_of_the_users_code(project):
    project.write(words=", version=1")
    assert [line.split() for line in project.lines()] == [["words", "run", "new"], ["count", "run", "new"]]
    record = project.run()["words"]
    assert record.data["code"]["files"].keys() >= {"near_letters.py", "pipelines/letters_of_test.py"}
    assert record.data["version"] == 1
    project.edit("near_letters.py", "top + 1", "top + 2")
    project.edit("pipelines/far_letters.py", "value * 2", "value * 3")
    words, count = project.lines()
    assert words.endswith("; changed since: near_letters.py words")
    assert "reuse" in words
    assert "its code changed: pipelines/far_letters.py more (nearest: own_count-" in count
    project.edit("near_letters.py", "top + 2", "top + 1")
    project.edit("pipelines/far_letters.py", "value * 3", "value * 2")
    assert [line.split()[1] for line in project.lines()] == ["reuse", "reuse"]
    assert "changed" not in "".join(project.lines())


def test_code_that_was_edited_after_the_plan_is_not_run_under_the_fingerprint_of_before(project):
    plan = project.plan()
    project.edit("near_letters.py", "top + 1", "top + 2")
    with pytest.raises(StageError, match="words: its code was edited after it was planned"):
        execute(plan, project.store, ExecutorConfig(), Silent())


def test_a_helper_that_is_not_found_is_an_error_that_says_where_it_was_looked_for(project):
    project.edit("pipelines/letters_of_test.py", "import near_letters", "import no_such_letters")
    folder = project.file.parent
    with pytest.raises(ConfigError, match=rf"letters_of_test\.py:6: .*neither installed nor in {folder} or "):
        project.plan()


def test_a_stage_without_a_version_must_lie_in_a_file_of_the_users(toy):
    with pytest.raises(ConfigError, match=r"states no version.*version=1"):
        __import__("dataclasses").replace(toy.numbers, version=None, function=print).code()


def test_lmexps_own_stages_state_a_version():
    importlib.import_module("lmexp.stages")
    shipped = [stage for stage in _REGISTRY.values() if stage.is_shipped]
    assert len(shipped) >= 8
    assert all(stage.version is not None and stage.code() is None for stage in shipped)
