"""The leaderboard: models of several families on one text, in one run."""

import pytest

from lmexp.core.graph.compose import compose
from lmexp.core.records.runs import find_run
from lmexp.core.store.store import Store
from lmexp.errors import ConfigError

from .conftest import lmexp_run

SMALL = (
    "+experiment=leaderboard",
    "~rows",
    "+rows.counts.model={architecture:ngram,order:2}",
    "+rows.memory.model={architecture:gru,num_layers:1,d_model:8}",
)


def test_a_row_is_the_experiment_with_what_it_names_in_its_place():
    words = [*SMALL, "+rows.memory.trainer.max_steps=70", "trainer.precision=64-true", "seed=3"]
    handles = compose(words).handles
    memory = handles["memory"].config
    assert (memory.trainer.max_steps, memory.seed, memory.model.d_model) == (70, 3, 8)
    assert memory.trainer.precision == "32-true", "a group that a row names is its own as a whole"
    assert memory.schedule.warmup_steps == 50, "what it does not name is the experiment's"
    assert handles["perplexity_memory"].inputs["model"] is handles["memory"]


def test_all_networks_read_one_packing():
    handles = compose(["+experiment=leaderboard"]).handles
    trained = [h for h in handles.values() if h.stage.name == "pretrain"]
    assert len(trained) > 4
    assert {id(h.inputs["packing"]) for h in trained} == {id(handles["packing"])}


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("~rows.memory", "rows must name two models or more, which are compared; was counts."),
        ("+rows.corpus.model={architecture:rnn}", "rows.corpus is no name for a model here"),
        ("+rows.memory.objective.name=masked_token", "rows.memory: objective=masked_token is nothing that"),
        ("+rows.memory.model.num_layer=2", "rows.memory.model.num_layer is not a known key"),
        ("+rows.other.model={architecture:gur}", "rows.other.model.architecture must be one of"),
    ],
)
def test_a_row_that_cannot_be_made_is_one_sentence_with_its_name(override, said):
    with pytest.raises(ConfigError) as found:
        compose([*SMALL, override])
    assert said in str(found.value)


def test_a_run_ends_with_the_models_in_order_beside_the_compressors(tmp_path):
    done = lmexp_run(
        tmp_path / "store",
        *SMALL,
        "trainer.max_steps=2",
        "schedule.warmup_steps=0",
        "perplexity.limit=2",
        "+audit.documents=2",
        "+audit.contexts=1",
        "size.limit=2",
        "samples.max_new_tokens=2",
        "tracking.mode=off",
    )
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "model=counts is best" in text or "None is best: model=counts leads" in text
    assert "1 counts (ngram-2)" in text
    assert "2 memory (gru-1x8-2)" in text
    assert "uniform" in text
    assert "xz -9e" in text
    run = find_run(Store(tmp_path / "store"), "last")
    assert run.metrics["audit_counts/failed"] == run.metrics["audit_memory/failed"] == 0
    assert 'id="leaderboard"' in (run.path / "report.html").read_text()
