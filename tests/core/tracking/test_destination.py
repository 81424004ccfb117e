import pytest

from lmexp.core.tracking.destination import (
    destination,
    destination_of,
    display_name,
    recording_id,
    recording_name,
    refuse_offline,
    resolve_mode,
)
from lmexp.core.values.settings import TrackingConfig
from lmexp.errors import ConfigError

RUN = {"run": "tiny-0123abcd", "experiment": "tiny", "group": "tiny-sweep-1"}
SAID = {
    "WANDB_ENTITY": "team",
    "WANDB_PROJECT": "theirs",
    "WANDB_NAME": "first try",
    "WANDB_TAGS": "a, b,,a",
    "WANDB_NOTES": "see https://me:pw@host/x",
    "WANDB_RUN_GROUP": "mine",
    "WANDB_RUN_ID": "abc123",
}


def resolved(config=None, environment=(), **more):
    return destination(TrackingConfig(**config or {}), **RUN, environment=dict(environment), **more)


def test_where_nobody_speaks_the_experiment_does():
    assert resolved() == {
        "mode": "auto",
        "entity": None,
        "project": "lmexp",
        "group": "tiny-sweep-1",
        "id": "tiny-0123abcd",
        "name": "tiny-0123abcd",
        "tags": ["tiny"],
        "notes": None,
    }


def test_where_the_configuration_is_silent_wandbs_environment_keeps_its_meaning():
    assert resolved(environment=SAID) == {
        "mode": "auto",
        "entity": "team",
        "project": "theirs",
        "group": "mine",
        "id": "abc123",
        "name": "first try",
        "tags": ["tiny", "a", "b"],
        "notes": "see https://***@host/x",
    }


def test_where_the_configuration_speaks_it_holds():
    config = {
        "mode": "offline",
        "entity": "me",
        "project": "lmexp",
        "name": "second",
        "tags": ("c",),
        "notes": "n",
        "group": "g",
    }
    found = resolved(config, {**SAID, "WANDB_MODE": "disabled", "WANDB_DISABLED": "true"})
    assert found == {**config, "tags": ["tiny", "c"], "id": "abc123"}


@pytest.mark.parametrize(
    ("mode", "environment", "resolved_"),
    [
        ("auto", {}, "auto"),
        ("auto", {"WANDB_MODE": "disabled"}, "off"),
        ("auto", {"WANDB_MODE": " Offline "}, "offline"),
        ("auto", {"WANDB_MODE": "dryrun"}, "offline"),
        ("auto", {"WANDB_MODE": "online"}, "online"),
        ("auto", {"WANDB_MODE": "run"}, "online"),
        ("auto", {"WANDB_MODE": "shared"}, "online"),
        ("auto", {"WANDB_MODE": ""}, "auto"),
        ("auto", {"WANDB_DISABLED": "true"}, "off"),
        ("auto", {"WANDB_DISABLED": "1", "WANDB_MODE": "online"}, "off"),
        ("auto", {"WANDB_DISABLED": "False", "WANDB_MODE": "offline"}, "offline"),
        ("auto", {"WANDB_DISABLED": ""}, "auto"),
        ("online", {"WANDB_MODE": "disabled"}, "online"),
        ("off", {"WANDB_MODE": "online"}, "off"),
        ("online", {"WANDB_MODE": "nonsense"}, "online"),
    ],
)
def test_the_mode_is_the_configurations_else_the_environments(mode, environment, resolved_):
    assert resolve_mode(mode, environment) == resolved_


def test_a_misspelt_mode_and_an_impossible_id_are_named():
    with pytest.raises(
        ConfigError, match=r"WANDB_MODE must be one of online, .* was 'offlin' \(did you mean 'offline'"
    ):
        resolve_mode("auto", {"WANDB_MODE": "offlin"})
    for odd in ("a/b", "a b", "a:b", "x" * 129):
        with pytest.raises(ConfigError, match="WANDB_RUN_ID must be a short word"):
            resolved(environment={"WANDB_RUN_ID": odd})


@pytest.mark.parametrize(
    "environment", [{"WANDB_MODE": "offline"}, {"WANDB_DISABLED": "yes"}, {"WANDB_MODE": "disabled"}]
)
def test_what_uploads_on_request_heeds_an_environment_that_forbids_it(environment):
    ((name, value),) = environment.items()
    with pytest.raises(
        ConfigError, match=f"{name}={value} says that no server is contacted; unset it to upload"
    ):
        refuse_offline(environment)
    assert refuse_offline({"WANDB_MODE": "online"}) is None


def test_an_id_names_one_run():
    said = {"WANDB_RUN_ID": "abc123"}
    assert resolved(environment=said, is_point=True)["id"] == "tiny-0123abcd"
    assert resolved(environment=said, taken=["other"])["id"] == "abc123"
    assert resolved(environment=said, taken=["abc123"])["id"] == "abc123-0123abcd"


def test_a_run_is_shown_by_what_it_changes_of_its_experiment():
    changes = {"optimizer.lr": [0.003, 0.01], "seed": [0, 2], "corpus.files": [[], ["/a" * 40]]}
    assert display_name("tiny-0123abcd", "tiny", changes) == f"tiny lr=0.01 seed=2 files=['{'/a' * 18}/…"
    assert display_name("tiny-0123abcd", "tiny", {}) == "tiny-0123abcd"
    assert display_name("tiny-0123abcd", "tiny", None) == "tiny-0123abcd"
    assert display_name("r", "e", {"hub.token": ["", "x"]}) == "e token=***"
    assert len(resolved(changes={f"a.key{i}": [0, "v" * 30] for i in range(9)})["name"]) == 128
    assert resolved({"tags": ("t" * 65,)})["tags"] == ["tiny", "t" * 64]


def test_what_was_resolved_as_the_run_began_holds_in_any_other_shell(monkeypatch):
    tracking = resolved(environment=SAID)
    for name in SAID:
        monkeypatch.setenv(name, "another")
    data = {**RUN, "tracking": tracking}
    assert destination_of(data) == tracking
    assert (recording_id(data), recording_name(data)) == ("abc123", "first try")
    assert (recording_id({**data, "recording": 2}), recording_name({**data, "recording": 2})) == (
        "abc123-2",
        "first try-2",
    )


def test_an_older_record_is_resolved_from_its_configuration(monkeypatch):
    for name in SAID:
        monkeypatch.delenv(name, raising=False)
    data = {**RUN, "config": {"tracking": {"mode": "offline", "project": "lmexp", "entity": None}}}
    assert destination_of(data) == {**resolved(), "mode": "offline"}
