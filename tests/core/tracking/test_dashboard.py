import json
import sys
from types import SimpleNamespace

import pytest

from lmexp.cli import main
from lmexp.core.tracking.dashboard import _groups, _swept, outline
from lmexp.verbs.dashboard import METRIC

from .wandb_server import ENTITY, KEY, WandbServer


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A store with a sweep of four points over two keys, and one run of another kind."""
    from ..conftest import Command

    made = Command(tmp_path_factory.mktemp("swept"))
    assert made.run("-m", "tracking.mode=off", "numbers.count=4,5", "total.power=1,2").returncode == 0
    assert made.run("tracking.mode=off", "numbers.count=9", "numbers.offset=3").returncode == 0
    return made.store


def dashboard(store, *words):
    return main(["dashboard", f"store={store}", "metric=total/sum", *words])


def written(store, name="dashboard.json"):
    return json.loads((store / name).read_text())


def sections(store):
    """Return the panels of each section, by its name."""
    bank = written(store)["spec"]["section"]["panelBankConfig"]
    return {section["name"]: section["panels"] for section in bank["sections"]}


def test_the_swept_keys_end_in_the_result_in_parallel_coordinates(swept):
    assert dashboard(swept) == 0
    (panel,) = [p for p in sections(swept)["results"] if p["viewType"] == "Parallel Coordinates Plot"]
    accessors = [column["accessor"] for column in panel["config"]["columns"]]
    assert sorted(accessors[:-1]) == ["config:numbers.value.count", "config:total.value.power"]
    assert accessors[-1] == "summary:total/sum"


def test_runs_that_differ_in_a_seed_alone_are_grouped_as_one_setting():
    from wandb_workspaces import expr

    assert _groups(["optimizer.lr", "seed", "known.seed", "size"]) == [
        expr.Config("optimizer.lr"),
        expr.Config("size"),
    ]
    assert _groups(["seed"]) == [expr.Metric("Group")]
    assert _groups(["optimizer.lr", "seed_count"]) == []


def test_keys_of_the_engine_and_whole_groups_are_not_swept():
    configs = (
        {"seed": 1, "store": "a", "executor": {"threads": 1}, "corpus": {"files": ["x"], "sources": None}},
        {
            "seed": 2,
            "store": "b",
            "executor": {"threads": 2},
            "corpus": {"files": ["y"], "sources": {}},
        },
    )
    runs = [SimpleNamespace(data={"group": "g", "config": config}) for config in configs]
    assert _swept(runs) == ["seed"]


def test_there_is_one_scatter_plot_for_each_swept_key(swept):
    assert dashboard(swept) == 0
    plots = [p["config"] for p in sections(swept)["results"] if p["viewType"] == "Scatter Plot"]
    axes = {(plot["xAxis"], plot["yAxis"]) for plot in plots}
    keys = ("config:numbers.value.count", "config:total.value.power")
    assert axes == {(key, "summary:total/sum") for key in keys}


def test_each_curve_is_a_line_over_its_stages_own_step(swept):
    assert dashboard(swept) == 0
    (line,) = sections(swept)["total: curves"]
    assert line["viewType"] == "Run History Line Plot"
    assert (line["config"]["xAxis"], line["config"]["metrics"]) == ("total/step", ["total/sum"])


def test_tables_and_the_report_have_panels(swept):
    assert dashboard(swept) == 0
    report, *tables = sections(swept)["tables and report"]
    assert report["config"]["mediaKeys"] == ["report"]
    keys = [t["config"]["panel2Config"]["exp"]["fromOp"]["inputs"]["key"]["val"] for t in tables]
    assert keys == ["tables/stages", "tables/metrics"]


def test_the_table_of_runs_shows_swept_keys_and_the_result_and_is_sorted_by_it(swept):
    assert dashboard(swept) == 0
    (runs,) = written(swept)["spec"]["section"]["runSets"]
    order = runs["runFeed"]["columnOrder"]
    assert order[:2] == ["run:displayName", "run:state"]
    assert {"config:numbers.value.count", "config:total.value.power"} <= set(order)
    assert order[-1] == "summary:total/sum"
    assert runs["sort"]["keys"] == [{"key": {"section": "summary", "name": "total/sum"}, "ascending": True}]


def test_the_main_job_shows_its_curves_samples_and_prompts(finished):
    store, run, _ = finished
    shown = outline(store, [run], metric=METRIC)
    assert shown.group is None
    assert shown.parameters == []
    losses = next(keys for keys in shown.curves["pretrain"] if "pretrain/train/loss" in keys)
    assert all(key.endswith("/loss") for key in losses)
    assert {"stages", "metrics", "samples", "prompts/python_identifier-0", "perplexity/test"} <= set(
        shown.tables
    )


def test_a_group_has_a_file_of_its_own_and_shows_its_runs_only(swept):
    (group,) = {json.loads(p.read_text())["group"] for p in swept.glob("runs/*/run.json")} - {"toy"}
    assert dashboard(swept, group) == 0
    (runs,) = written(swept, f"dashboard-{group}.json")["spec"]["section"]["runSets"]
    (condition,) = runs["filters"]["filters"]
    assert (condition["key"]["section"], condition["key"]["name"]) == ("run", "group")
    assert condition["value"] == group


def test_the_same_records_give_the_same_definition(swept):
    assert dashboard(swept) == 0
    before = written(swept)
    assert dashboard(swept) == 0
    assert written(swept) == before


def test_a_saved_workspace_is_on_the_server_and_is_the_same_view_when_saved_again(swept, monkeypatch, capsys):
    with WandbServer() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        assert dashboard(swept, "--save") == 0
        assert dashboard(swept, "--save") == 0
    assert not server.errors
    assert not server.unknown
    ((identity, view),) = server.views.items()
    assert (view["entityName"], view["projectName"], view["displayName"]) == (
        ENTITY,
        "lmexp",
        "lmexp: all runs",
    )
    assert json.loads(view["spec"]) == written(swept)["spec"]
    assert written(swept)["id"] == identity
    assert "saved as 'lmexp: all runs' in the project lmexp" in capsys.readouterr().out
    assert KEY not in (swept / "dashboard.json").read_text()


def test_saving_without_a_key_or_a_server_gives_one_sentence(swept, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    assert dashboard(swept, "--save") == 2
    assert capsys.readouterr().err.startswith("lmexp: no wandb key is set; ")
    with WandbServer() as server:
        server.fail("UpsertView2", "refuse")
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        assert dashboard(swept, "--save") == 1
    err = capsys.readouterr().err
    assert err.startswith("lmexp: the workspace was not saved: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["metric=total/sun"], "no run has the metric 'total/sun' (did you mean 'total/sum'?)"),
        (["toys"], "has no group 'toys' (did you mean 'toy'?)"),
        (["toy", "toy"], "dashboard takes at most one GROUP"),
    ],
)
def test_what_cannot_be_shown_gives_one_sentence(swept, capsys, words, sentence):
    assert dashboard(swept, *words) == 2
    assert sentence in capsys.readouterr().err


def test_without_the_extra_there_is_one_sentence_with_the_command_that_installs_it(
    swept, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    monkeypatch.delitem(sys.modules, "wandb_workspaces.workspaces", raising=False)
    assert dashboard(swept) == 2
    assert "needs wandb-workspaces; install it with: pip install 'wandb-workspaces" in capsys.readouterr().err
