"""Words of other tools, own variables and names in folders."""

import re

import pytest

from lmexp import cli, run
from lmexp.core.graph.compose import compose
from lmexp.core.graph.loading import config_class
from lmexp.core.graph.reserved import find_pipeline
from lmexp.core.values import other_names
from lmexp.core.values.config import build, dotted_names
from lmexp.core.values.other_names import meant_keys, nearest_key
from lmexp.errors import ConfigError
from lmexp.generation.config import SamplingConfig

KEYS = dotted_names(config_class(find_pipeline("pretrain")))


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("learning_rate", "optimizer.lr"),
        ("lr", "optimizer.lr"),
        ("epochs", "trainer.max_steps"),
        ("num_train_epochs", "trainer.max_steps"),
        ("max_iters", "trainer.max_steps"),
        ("temp", "samples.temperature"),
        ("batch_size", "global_batch_size"),
        ("per_device_train_batch_size", "micro_batch_size"),
        ("n_layer", "model.num_layers"),
        ("num_hidden_layers", "model.num_layers"),
        ("n_head", "model.num_heads"),
        ("hidden_size", "model.d_model"),
        ("n_embd", "model.d_model"),
        ("block_size", "model.context_length"),
        ("wandb", "tracking.mode"),
        ("gpus", "trainer.devices"),
        ("fp16", "trainer.precision"),
        ("grad_clip", "trainer.gradient_clip_val"),
        ("eval_interval", "validation_every_steps"),
        ("dataset", "corpus.files"),
        ("output_dir", "store"),
        ("max_tokens", "samples.max_new_tokens"),
        ("Learning-Rate", "optimizer.lr"),
    ],
)
def test_a_word_of_another_tool_is_answered_with_our_key(word, key):
    assert nearest_key(word, [], everywhere=KEYS) == f" (did you mean {key!r}?)"
    group = key.rpartition(".")[0] or "model"
    assert nearest_key(f"{group}.{word}", [], everywhere=KEYS) == f" (did you mean {key!r}?)"


def test_every_key_that_the_table_answers_with_is_one():
    every = {
        key
        for words in (line.split(": ")[1].split() for line in _lines())
        for w in words
        for key in meant_keys(w)
    }
    assert every <= set(KEYS)
    assert not {line.split(": ")[0] for line in _lines()} - set(KEYS)


def _lines():
    return re.sub(r"\n +", " ", other_names._TABLE).strip().splitlines()


def test_a_typo_is_answered_in_its_own_group_and_a_known_last_part_with_its_group():
    assert nearest_key("wieght_decay", ["weight_decay", "lr"]) == " (did you mean 'weight_decay'?)"
    assert nearest_key("num_layers", [], everywhere=KEYS) == " (did you mean 'model.num_layers'?)"
    assert nearest_key("resume", KEYS) == " (the same command resumes what was stopped)"
    assert nearest_key("xyzzy", KEYS) == ""
    assert meant_keys("Learning-Rate") == ["optimizer.lr"], "as an option is written"
    assert nearest_key("temp", ["lr"]) == "", "a pipeline without that key is not answered with it"
    with pytest.raises(ConfigError, match=r"temp is not a known key \(did you mean 'temperature'\?\)"):
        build(SamplingConfig, {"temp": 1})


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["n_layer=3"], "n_layer is not a known key (did you mean 'model.num_layers'?)."),
        (
            ["++trainer.learning_rate=1"],
            "trainer.learning_rate is not a known key (did you mean 'optimizer.lr'?).",
        ),
        (
            ["xyzzy=1"],
            "xyzzy is not a known key; a variable of your own goes under vars, as +vars.NAME=VALUE.",
        ),
        (
            ["+xyzzy=1"],
            "xyzzy is not a known key; a variable of your own goes under vars, as +vars.NAME=VALUE.",
        ),
    ],
)
def test_an_unknown_key_is_answered_wherever_it_comes_from(words, sentence):
    with pytest.raises(ConfigError) as error:
        compose(["+experiment=tiny", *words])
    assert str(error.value) == sentence


@pytest.mark.parametrize("verb", [run.main, lambda words: cli.main(["plan", *words])])
def test_an_option_that_is_another_tools_is_answered_with_the_key(verb, capsys):
    assert verb(["+experiment=tiny", "--epochs", "3"]) == 2
    assert (
        capsys.readouterr().err
        == "lmexp: --epochs is not an option; write trainer.max_steps=VALUE; see --help.\n"
    )


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A directory whose experiments lie in a folder."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "conf" / "experiment" / "course"
    folder.mkdir(parents=True)
    head = "# @package _global_\ndefaults: [/experiment/tiny, _self_]\nvars: {width: 96, heads: 2}\n"
    (folder / "week1.yaml").write_text(
        head + "model: {d_model: '${vars.width}', num_heads: '${vars.heads}'}\n"
    )
    (folder / "lost.yaml").write_text(head + "model: {d_model: '${vars.widht}'}\n")
    return tmp_path


def test_own_variables_are_used_and_are_no_part_of_what_is_run(course):
    plain = compose(["+experiment=tiny", "model.d_model=96"])
    found = compose(["+experiment=course/week1", "+vars.note=[1,2]"])
    assert found.config == plain.config
    assert "vars" not in found.values
    assert compose(["+experiment=course/week1", "vars.width=128"]).config.model.d_model == 128
    assert compose(["+experiment=course/week1", "vars.width=128"]).changes() == {"model.d_model": [96, 128]}
    with pytest.raises(ConfigError, match=r"model\.d_model refers to \$\{vars\.widht\}, which is no key"):
        compose(["+experiment=course/lost"])


def test_an_experiment_in_a_folder_is_listed_and_its_name_is_found(course, capsys):
    assert run.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "|course/lost|course/week1|gpt2_124m|" in out
    assert "corpus/filters=gopher" in out
    for typo in ("week1", "course/wek1", "course/week"):
        with pytest.raises(ConfigError, match="did you mean 'course/week1'"):
            compose([f"+experiment={typo}"])
