"""Every way in which Hydra can be asked for several points is one: same group, page, checks and exit code."""

import json
import types

import pytest

from lmexp import cli, run
from lmexp.core.graph.compose import compose
from lmexp.core.records.runs import list_runs
from lmexp.core.records.sweep_recorder import SweepRecorder
from lmexp.core.records.sweeps import exit_code_of, find_sweep, note_point, sweep_names
from lmexp.core.store.store import Store
from lmexp.core.values.files import read_json
from lmexp.errors import ConfigError


@pytest.fixture
def toy_main(command, monkeypatch, capfd):
    """Run words of the toy pipeline in this process; return the exit code and standard error."""
    monkeypatch.chdir(command.directory)

    def call(*words):
        flags = ["--config-dir", "configs", "--config-name", "toy", f"store={command.store}"]
        code = run.main([*flags, *words])
        return code, capfd.readouterr().err

    return call


def experiment(command, text):
    (command.directory / "configs" / "experiment").mkdir(exist_ok=True)
    (command.directory / "configs" / "experiment" / "swept.yaml").write_text(f"# @package _global_\n{text}")


SWEPT = "hydra:\n  mode: MULTIRUN\n  sweeper: {params: {numbers.count: '3,4'}}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SWEPT, ["+experiment=swept"]),
        (SWEPT, ["-m", "+experiment=swept"]),
        (SWEPT.replace("3,4", "9"), ["+experiment=swept", "numbers.count=3,4"]),
        ("{}\n", ["+experiment=swept", "hydra.mode=MULTIRUN", "numbers.count=3,4"]),
    ],
)
def test_a_sweep_that_a_file_or_a_key_asks_for_has_its_group_page_and_checks(command, toy_main, text, words):
    experiment(command, text)
    code, err = toy_main(*words, "only=[numbers]")
    assert code == 0, err
    assert ["point 1 of 2:" in err, "point 2 of 2:" in err, "point 3" in err] == [True, True, False]
    store = Store(command.store)
    (group,) = sweep_names(store)
    assert [r.data["group"] for r in list_runs(store)] == [group] * 2
    assert [p.run.metrics["numbers/count"] for p in find_sweep(store, group).points] == [3, 4]
    assert (store.root / "sweeps" / group / "report.html").exists()
    again = find_sweep(store, group).points[1].run.data["command"]
    assert again[:3] == ["python", "-m", "lmexp.run"]
    code, err = toy_main(*again[7:])  # the command of one point is one point
    assert (code, "point" in err, len(list_runs(store))) == (0, False, 2)


def test_a_sweep_of_an_experiment_in_a_folder_has_its_record_its_page_and_its_workspace(command, toy_main):
    folder = command.directory / "configs" / "experiment" / "course"
    folder.mkdir(parents=True)
    (folder / "week1.yaml").write_text("# @package _global_\n{}\n")
    code, err = toy_main("-m", "+experiment=course/week1", "numbers.count=3,4", "only=[numbers]")
    assert (code, "could not be written" in err) == (0, False), err
    store = Store(command.store)
    (group,) = sweep_names(store)
    assert len(find_sweep(store, group).points) == 2
    assert (store.root / "sweeps" / group / "report.html").exists()
    assert cli.main(["verify", f"store={store.root}"]) == 0
    code, err = toy_main("+experiment=course/week1", "only=[numbers]")
    assert cli.main(["dashboard", "course/week1", "metric=numbers/count", f"store={store.root}"]) == 0, err
    assert (store.root / "dashboard-course-week1.json").is_file()


def test_a_mistake_in_a_files_last_point_shows_before_the_first_runs(command, toy_main):
    experiment(command, SWEPT.replace("3,4", "3,-4"))
    code, err = toy_main("+experiment=swept")
    assert (code, err.count("\n")) == (2, 1)
    assert "numbers.count must be at least 0" in err
    assert not command.store.exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-m", "hydra/launcher=joblib"], "hydra/launcher=joblib is not supported: points run one after"),
        (["hydra/launcher=submitit_local"], "hydra/launcher=submitit_local is not supported"),
        (["-m", "hydra/sweeper=optuna"], "hydra/sweeper=optuna is not supported: give the values to try"),
        (["-m", "hydra.launcher._target_=my.Launcher"], "hydra/launcher=basic is not supported"),
        (["-m", "store=a,b"], "store has several values"),
    ],
)
def test_what_no_sweep_can_be_run_with_is_refused_before_anything_runs(command, toy_main, words, sentence):
    code, err = toy_main(*words, "numbers.count=3,4" if "-m" in words else "numbers.count=3")
    assert (code, err.count("\n"), sentence in err) == (2, 1, True), err
    assert not command.store.exists()


def test_a_launcher_that_an_experiment_chooses_is_refused_too(command, toy_main):
    experiment(command, "hydra: {mode: MULTIRUN, launcher: {_target_: theirs.Launcher}}\n")
    code, err = toy_main("+experiment=swept", "numbers.count=3,4")
    assert (code, "hydra/launcher=" in err) == (2, True)


def test_the_exit_code_is_read_from_what_points_have_left_wherever_they_ran(store):
    """As another process's launcher would: one recorder for the sweep, one made anew for each job."""
    about = {"store": str(store.root), "group": "g", "command": ["x"], "num_points": 3}
    SweepRecorder(**about).on_multirun_start(config=None)
    assert exit_code_of(store, "g") == 1, "no point has told how it ended"

    def job(index, value):
        hydra = types.SimpleNamespace(
            job=types.SimpleNamespace(num=index), overrides=types.SimpleNamespace(task=[f"a={index}"])
        )
        done = types.SimpleNamespace(_return_value=value)
        SweepRecorder(**about).on_job_end(config=types.SimpleNamespace(hydra=hydra), job_return=done)

    for index in range(3):
        job(index, 0)
    assert exit_code_of(store, "g") == 0
    job(1, ValueError("it failed before it came to lmexp"))
    assert exit_code_of(store, "g") == 1
    job(1, 0)
    note_point(store, "g", index=2, overrides=[], run="r", exit_code=75)
    assert exit_code_of(store, "g") == 75
    job(2, 2)
    noted = read_json(store.root / "sweeps" / "g" / "points" / "000002.json")
    assert (noted["run"], noted["exit_code"], noted["overrides"]) == ("r", 2, ["a=2"])
    (store.root / "sweeps" / "g" / "points" / "000000.json").write_text("[")
    assert exit_code_of(store, "g") == 2
    assert find_sweep(store, "g").points == ()


def test_a_failed_point_shows_in_the_exit_code_and_the_others_run(command, toy_main):
    code, err = toy_main("-m", "total.fail_at=2", "numbers.count=5,2")
    assert code == 1, err
    store = Store(command.store)
    (group,) = sweep_names(store)
    points = sorted((store.root / "sweeps" / group / "points").glob("*.json"))
    assert [json.loads(p.read_text())["exit_code"] for p in points] == [1, 0]
    assert [p.run.status for p in find_sweep(store, group).points] == ["failed", "done"]


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("~prompts", "prompts cannot be removed: to leave its stage out write only=[perplexity,samples]."),
        (
            "~samples=default",
            "samples cannot be removed: to leave its stage out write only=[perplexity,prompts].",
        ),
        ("~tracking", "tracking cannot be removed: write tracking=none to mirror nothing."),
        ("~corpus", "corpus cannot be removed: other stages need what the stage corpus makes"),
        (
            "~trainer",
            "trainer cannot be removed: its keys have defaults, and each one is set by trainer.NAME=VALUE.",
        ),
        ("prompts=null", "a group is chosen by its name and cannot be null"),
        ("~promts", "promts is not a known key (did you mean 'prompts'?)."),
    ],
)
def test_a_group_cannot_be_removed_and_the_sentence_says_what_to_write(word, sentence):
    with pytest.raises(ConfigError) as error:
        compose(["+experiment=tiny", word])
    assert sentence in str(error.value)


def test_a_group_that_an_experiment_file_sets_to_null_is_refused_and_a_removed_key_has_its_default(tmp_path):
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\ndefaults: [tiny, override /tracking: null, _self_]\n"
    (tmp_path / "experiment" / "bare.yaml").write_text(text)
    with pytest.raises(ConfigError, match="tracking cannot be removed: write tracking=none"):
        compose(["+experiment=bare"], config_dir=str(tmp_path))
    config = compose(["+experiment=tiny", "~prompts.limit", "~model.num_heads", "~model.num_kv_heads"]).config
    assert (config.prompts.limit, config.model.num_heads) == (type(config.prompts)().limit, 4)


def test_points_of_equal_content_have_led_to_one_run(command, toy_main):
    code, err = toy_main("-m", "total.fail_at=null,9", "numbers.count=3", "only=[numbers]")
    assert code == 0, err
    store = Store(command.store)
    (group,) = sweep_names(store)
    assert len(list((store.root / "sweeps" / group / "points").glob("*.json"))) == 2
    (point,) = find_sweep(store, group).points
    assert "total.fail_at=null" in point.overrides, "the first of them"
