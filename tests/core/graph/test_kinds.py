"""Which keys hold where an experiment and the command line choose different kinds."""

import pytest

from lmexp.core.graph.compose import compose
from lmexp.core.graph.plan import make_plan
from lmexp.core.store.store import Store
from lmexp.errors import ConfigError
from lmexp.models.families import GPT2Config, GPTConfig, GRUConfig, NGramConfig
from lmexp.training.objectives.config import MaskedTokenConfig

TINY = GPTConfig(
    context_length=128,
    num_layers=2,
    num_heads=2,
    num_kv_heads=1,
    d_model=64,
    tie_embeddings=False,
    init_std=1.0,
)
OF_TINY = {
    "model.num_layers": 2,
    "model.num_heads": 2,
    "model.num_kv_heads": 1,
    "model.d_model": 64,
    "model.tie_embeddings": False,
    "model.init_std": 1.0,
}

MINE = {
    "by_key": "model: {architecture: gpt2, d_model: 256, num_layers: 3}\n",
    "by_group": "defaults:\n  - override /model: gpt2\nmodel: {d_model: 64, num_layers: 3}\n",
}


@pytest.fixture
def mine(tmp_path, monkeypatch):
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    for name, text in MINE.items():
        whole = f"# @package _global_\n{text}trainer: {{max_steps: 3}}\n"
        (folder / f"{name}.yaml").write_text(whole)
    monkeypatch.chdir(tmp_path)


def composed(*words):
    composition = compose(words)
    return composition.config.model, dict(composition.left_behind)


def test_an_experiments_keys_hold_where_nothing_or_the_same_kind_is_chosen():
    assert composed("+experiment=tiny") == (TINY, {})
    assert composed("+experiment=tiny", "model=gpt") == (TINY, {})
    assert composed("+experiment=tiny", "model.architecture=qwen3") == (TINY, {})


def test_a_shared_key_that_a_kind_lacks_goes_to_the_key_beside_it_that_says_the_same():
    gru = compose(["+experiment=tiny", "model=gru"])
    assert (gru.config.model, gru.config.sample_length) == (GRUConfig(), 128)
    assert dict(gru.left_behind) == {key: v for key, v in OF_TINY.items() if key not in ("model.num_layers",)}
    own = compose(["+experiment=tiny", "model=gru", "sample_length=64"]).config
    assert own.sample_length == 64
    assert compose(["model=lstm"]).config.resolved_sample_length == 256
    assert compose(["+experiment=tiny"]).config.sample_length is None


def test_a_counted_model_composes_under_an_experiment_of_a_network_and_needs_no_packing():
    handles = compose(["+experiment=tiny", "model=ngram", "model.order=4"]).handles
    assert handles["ngram"].config == NGramConfig(order=4)
    assert list(handles) == ["corpus", "tokenizer", "ngram", "perplexity", "baseline", "prompts", "samples"]


def test_a_model_that_gives_no_next_token_a_probability_is_trained_and_nothing_is_measured_with_it():
    composition = compose(["+experiment=tiny", "model=encoder", "objective=masked_token"])
    assert list(composition.handles) == ["corpus", "tokenizer", "packing", "pretrain"]
    (hint,) = composition.handles["pretrain"].stage.hints(composition.handles["pretrain"].config)
    assert "encoder-4x256 gives no next token a probability" in hint


def test_a_model_that_gives_a_bound_is_measured_by_it_and_asked_no_prompts():
    composition = compose(["+experiment=tiny", "model=diffusion", "objective=masked_diffusion"])
    assert list(composition.handles) == [
        "corpus",
        "tokenizer",
        "packing",
        "pretrain",
        "perplexity",
        "samples",
    ]
    (hint,) = composition.handles["pretrain"].stage.hints(composition.handles["pretrain"].config)
    assert "diffusion-4x256 gives a text a bound of its probability" in hint
    assert "draws" not in composition.handles["perplexity"].identity()


@pytest.mark.parametrize(
    ("model", "objective"), [("encoder", "masked_token"), ("diffusion", "masked_diffusion")]
)
def test_a_model_that_is_good_for_one_objective_has_it_where_nothing_names_one(model, objective):
    named = compose(["+experiment=tiny", f"model={model}", f"objective={objective}"])
    left_out = compose(["+experiment=tiny", f"model={model}"])
    by_its_key = compose(["+experiment=tiny", f"model.architecture={model}"])
    assert left_out.config == named.config
    assert left_out.handles["pretrain"].identity() == named.handles["pretrain"].identity()
    assert by_its_key.values["objective"]["name"] == objective
    with pytest.raises(ConfigError, match=rf"objective=next_token .* set objective={objective}\."):
        compose(["+experiment=tiny", f"model={model}", "objective=next_token"])


def test_a_key_of_an_objective_that_goes_with_a_model_holds():
    config = compose(["+experiment=tiny", "model=encoder", "objective.rate=0.3"]).config
    assert config.objective == MaskedTokenConfig(rate=0.3)
    with pytest.raises(ConfigError, match=r"objective.rte"):
        compose(["+experiment=tiny", "model=encoder", "+objective.rte=0.3"])
    assert "objective" not in compose(["+experiment=tiny"]).handles["pretrain"].identity()


def test_another_kind_has_its_own_defaults_and_group_file_and_what_is_shared():
    model = GPT2Config(context_length=128, norm_eps=1e-5)
    assert composed("+experiment=tiny", "model=gpt2") == (model, OF_TINY)


def test_the_command_lines_own_keys_come_last():
    model = GPT2Config(context_length=64, d_model=32, norm_eps=1e-5)
    lost = {key: value for key, value in OF_TINY.items() if key != "model.d_model"}
    words = ("model=gpt2", "model.d_model=32", "model.context_length=64")
    assert composed("+experiment=tiny", *words) == (model, lost)
    assert composed("+experiment=tiny", "model=gpt2", "model={d_model:32,context_length:64}") == (model, lost)


def test_a_kind_chosen_by_its_key_has_the_kinds_defaults_alone():
    assert composed("+experiment=tiny", "model.architecture=gpt2") == (
        GPT2Config(context_length=128),
        OF_TINY,
    )


def test_a_key_that_is_taken_away_has_the_kinds_default():
    model, _ = composed("+experiment=tiny", "model=gpt2", "~model.norm_eps")
    assert model == GPT2Config(context_length=128, norm_eps=1e-6)


def test_an_experiment_that_chooses_a_kind_keeps_its_own_keys_alone(mine):
    assert composed("+experiment=by_key") == (GPT2Config(d_model=256, num_layers=3), {})
    assert composed("+experiment=by_group")[0] == GPT2Config(d_model=64, num_layers=3, norm_eps=1e-5)
    assert composed("+experiment=by_group", "model.num_heads=2")[0] == GPT2Config(
        d_model=64, num_layers=3, num_heads=2, norm_eps=1e-5
    )


@pytest.mark.parametrize("name", MINE)
def test_the_first_kind_is_chosen_back_by_its_group_or_its_key(mine, name):
    for word in ("model=gpt", "model.architecture=qwen3"):
        model, lost = composed(f"+experiment={name}", word)
        assert model == GPTConfig()
        assert lost["model.num_layers"] == 3


def test_interpolations_read_what_holds():
    words = [
        "+experiment=tiny",
        "model=gpt2",
        "packing=best_fit",
        "trainer.log_every_n_steps=${model.num_layers}",
    ]
    config = compose(words).config
    assert config.packing.context_length == 128
    assert config.trainer.log_every_n_steps == 4


def test_a_key_that_no_file_sets_is_not_taken_away_in_silence():
    with pytest.raises(ConfigError, match=r"^model\.rope_theta is set by no file here, so that it has its"):
        compose(["+experiment=tiny", "~model.rope_theta"])


def test_a_sweep_over_kinds_composes_and_each_has_its_own_pretraining(tmp_path):
    names = {
        make_plan(compose(["+experiment=tiny", word]).handles, Store(tmp_path))
        .by_name["pretrain"]
        .fingerprint
        for word in ("model=gpt", "model=gpt2")
    }
    assert len(names) == 2


def test_the_plan_names_what_is_left_behind(tmp_path, capsys):
    from lmexp.cli import main

    assert main(["plan", "+experiment=tiny", "model=gpt2", f"store={tmp_path}"]) == 0
    out = capsys.readouterr().out
    assert "note: the experiment's model.num_layers=2, " in out
    assert "model.init_std=1.0 are of another kind and do not hold" in out
    assert main(["plan", "+experiment=tiny", f"store={tmp_path}"]) == 0
    assert "another kind" not in capsys.readouterr().out
