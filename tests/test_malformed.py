"""Malformed input: exit code 2, one sentence, nothing run, nothing published.

Every field is tried in four ways. Composing takes a quarter of a second, so these hundreds of overrides are
applied to copies of one composition by Hydra's own function; every twentieth goes the whole way.
"""

import copy
import dataclasses
import typing
from collections.abc import Callable, Iterator

import pytest
import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import open_dict

from lmexp import run
from lmexp.core.graph import compose as composing
from lmexp.core.graph.compose import compose
from lmexp.core.graph.composing_errors import translated_errors
from lmexp.core.graph.loading import config_class
from lmexp.core.graph.reserved import find_pipeline
from lmexp.core.values.config import Config, build
from lmexp.errors import ConfigError
from lmexp.models.families import MODELS
from lmexp.training.objectives.config import OBJECTIVES


def fields(cls: type[Config], path: str = "") -> Iterator[tuple[str, dataclasses.Field, object]]:
    """Yield (dotted key, field, type) of every leaf of a config class."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        if field.metadata["one_of"] is None and isinstance(hint, type) and issubclass(hint, Config):
            yield from fields(hint, f"{path}{field.name}.")
        elif field.metadata["one_of"] is not None:
            one_of = field.metadata["one_of"]
            yield from fields(one_of.kinds[one_of.unnamed], f"{path}{field.name}.")
        elif field.metadata["each_of"] is None:
            yield f"{path}{field.name}", field, hint


SCHEMA = list(fields(config_class(find_pipeline("pretrain"))))


def element(hint: object) -> type:
    """Return the scalar type that a field holds."""
    candidates = [a for a in typing.get_args(hint) if a not in (type(None), ...)] or [hint]
    return candidates[0]


def wrong_type(hint: object) -> str:
    if typing.get_origin(hint) is tuple:
        return "{a:1}"
    return "[1,2]" if element(hint) is str else "wrong"


def out_of_range(field: dataclasses.Field, hint: object) -> str | None:
    bounds = field.metadata["bounds"]
    if field.metadata["choices"] is not None:
        value = "nonsense" if element(hint) is str else "-77"
    elif "ge" in bounds:
        value = str(bounds["ge"] - 1)
    elif "gt" in bounds:
        value = str(bounds["gt"])
    elif "lt" in bounds:
        value = str(bounds["lt"])
    elif "le" in bounds:
        value = str(bounds["le"] + 1)
    else:
        return None
    return f"[{value}]" if typing.get_origin(hint) is tuple else value


def misspelt(key: str) -> str:
    head, dot, name = key.rpartition(".")
    return f"{head}{dot}{name[:-1]}q" if len(name) > 2 else f"{head}{dot}{name}q"


def cases() -> Iterator[tuple[str, str]]:
    for key, field, hint in SCHEMA:
        yield f"{misspelt(key)}=1", "is not a known key"
        yield f"++{misspelt(key)}=1", "is not a known key"
        yield f"{key}={wrong_type(hint)}", f"{key.rpartition('.')[2]}"
        beyond = out_of_range(field, hint)
        if beyond is not None:
            yield f"{key}={beyond}", "must be"


def refuse(arguments: list[str], store, capsys) -> str:
    """Run the command line, check that it refuses properly, and return its sentence."""
    code = run.main([*arguments, f"store={store}"] if not any("store" in a for a in arguments) else arguments)
    err = capsys.readouterr().err
    assert code == 2, err
    assert "Traceback" not in err
    assert err.startswith("lmexp: ")
    assert err.count("\n") == 1, err
    assert not list(store.glob("artifacts/*/*"))
    return err


@pytest.fixture(scope="module")
def overridden() -> Callable[[str], None]:
    """Return a function that composes `tiny` with one more override, from a composition made once."""
    origin = composing.Origin(overrides=("+experiment=tiny",))
    with composing.hydra_of(origin) as hydra:
        composed = composing._composed(hydra, origin)
    choices = dict(composed.hydra.runtime.choices)
    with open_dict(composed):
        del composed.hydra  # most of what a copy would cost
    parser = OverridesParser.create()

    def apply(override: str) -> None:
        config = copy.deepcopy(composed)
        with translated_errors():
            ConfigLoaderImpl._apply_overrides_to_config(parser.parse_overrides([override]), config)
        composing.check(config, choices)

    return apply


def refusal(action: Callable[[], object]) -> str:
    with pytest.raises(ConfigError) as error:
        action()
    return str(error.value)


def test_every_field_misspelt_of_a_wrong_type_or_out_of_range_is_refused(overridden):
    tried = list(cases())
    assert len(tried) > 300
    for override, words in tried:
        sentence = refusal(lambda: overridden(override))  # noqa: B023
        assert words in sentence, override
        assert "\n" not in sentence, override


@pytest.mark.parametrize(("override", "words"), list(cases())[::20], ids=lambda value: str(value)[:50])
def test_an_override_that_is_refused_when_it_is_applied_is_refused_when_it_is_composed(
    override, words, overridden
):
    sentence = refusal(lambda: compose(["+experiment=tiny", override]))
    assert words in sentence
    assert sentence == refusal(lambda: overridden(override))


def test_every_field_of_every_kind_of_a_union_is_held_to_its_type_and_limits():
    tried = 0
    for one_of in (MODELS, OBJECTIVES):
        for kind in one_of.kinds.values():
            for key, field, hint in fields(kind):
                for value in (wrong_type(hint), out_of_range(field, hint)):
                    if value is not None:
                        sentence = refusal(lambda: build(kind, {key: yaml.safe_load(value)}))  # noqa: B023
                        assert key in sentence
                        tried += 1
                assert "is not a known key" in refusal(lambda: build(kind, {misspelt(key): 1}))  # noqa: B023
    assert tried > 60


HAND = [
    (["+experiment=tinny"], "did you mean 'tiny'"),
    (["+experiment=tiny", f"tracking.project=hf_{'a' * 34}"], "tracking.project holds a secret"),
    (["+experiment=tiny", "seed=1,2"], "seed=1,2 has several values: add -m"),
    (["+experiment=tiny", "--multrun"], "--multrun is not an option (did you mean '--multirun'?)"),
    (["+experiment=tiny", "model=gpt2", "model.num_kv_heads=2"], "does not apply to architecture gpt2"),
    (["+experiment=tiny", "~model.norm_eps"], "leave ~model.norm_eps out"),
    (["experiment=tiny"], "write +experiment=NAME"),
    (["+experiment=tiny", "corpus=lokal"], "did you mean 'local'"),
    (["+experiment=tiny", "corpus=local"], "corpus.files is required"),
    (["+experiment=tiny", "+corpus.sources.mine.kind=lokal"], "did you mean 'local'"),
    (["+experiment=tiny", "+corpus.sources.mine.kind=local"], "corpus.sources.mine.files is required"),
    (["+experiment=tiny", "+corpus.sources.local.fils=[a]"], "did you mean 'files'"),
    (["+experiment=tiny", "corpus.sources=3"], "corpus.sources must be a group of keys"),
    (["+experiment=tiny", "pipeline=pretrian"], "did you mean 'pretrain'"),
    (["+experiment=tiny", "pipeline=none.py"], "there is no file"),
    (["+experiment=tiny", "prompts.tasks=[python_operater]"], "did you mean 'python_operator'"),
    (["+experiment=tiny", "prompts.task_files=[nothing.yaml]"], "prompts.task_files: there is no file"),
    (["+experiment=tiny", "prompts.num_fewshot=[0,0]"], "each once"),
    (["+experiment=tiny", "force=[pretrian]"], "did you mean 'pretrain'"),
    (["+experiment=tiny", "only=[everything]"], "no stage of this pipeline"),
    (["+experiment=tiny", "model.num_heads=3"], "d_model (64) must be a multiple of num_heads"),
    (["+experiment=tiny", "model.num_heads=4", "model.num_kv_heads=3"], "must be a multiple of num_kv_heads"),
    (["+experiment=tiny", "model.head_dim=5"], "must be even for RoPE"),
    (["+experiment=tiny", "trainer.devices=3"], "global_batch_size (8) must be a multiple"),
    (["+experiment=tiny", "micro_batch_size=3"], "micro_batch_size (3) must divide"),
    (["+experiment=tiny", "schedule.warmup_steps=101"], "must be at most trainer.max_steps (100)"),
    (["+experiment=tiny", "trainer.max_epochs=3"], "training length is max_steps"),
    (["+experiment=tiny", "++trainer.logger=true"], "trainer.logger is not accepted"),
    (["+experiment=tiny", "++nobody.declared=1"], "nobody is not a known key"),
    (["+experiment=tiny", "+++x=1"], "cannot be read"),
    (["+experiment=tiny", "corpus.files=[~/x.txt]"], "needs quotes of its own"),
    (["+experiment=tiny", "model.d_model="], "d_model must be an integer"),
    (["+experiment=tiny", "model.d_model=[1"], "cannot be read"),
    (["+experiment=tiny", "corpus.test_fraction=0.6", "corpus.validation_fraction=0.5"], "less than 1"),
    (["+experiment=tiny", "perplexity.stride=129"], "at most model.context_length (128)"),
    (["+experiment=tiny", "perplexity.context_length=129"], "at most model.context_length (128)"),
    (["+experiment=tiny", "perplexity={context_length:8,stride:9}"], "perplexity.stride (9) must be at most"),
    (
        ["+experiment=tiny", "corpus=known", "corpus.sources.known={process:hidden_markov,line_length:99}"],
        "corpus.sources.known.line_length must be at most 7",
    ),
    (["+experiment=tiny", "packing.mode=best_fit"], "give packing=best_fit"),
    (
        ["+experiment=tiny", "packing=best_fit", "packing.context_length=64"],
        "packing.context_length (64) must be the length of a training sample (128)",
    ),
    (["+experiment=tiny", "optimizer.betas=[0.9]"], "two numbers"),
    (["+experiment=tiny", "corpus=local", "corpus.files=[missing.txt]"], "missing.txt"),
    (["-m", "+experiment=tiny", "model.num_layers=1,2,0"], "num_layers must be at least 1"),
    (["-m", "+experiment=tiny", "model.num_layer=1,2"], "num_layer is not a known key"),
    (["--config-dir", "nowhere", "+experiment=tiny"], "nowhere"),
    (["--experimental-rerun", "x", "+experiment=tiny"], "is not accepted"),
]


@pytest.mark.parametrize(
    ("arguments", "words"), HAND, ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else ""
)
def test_impossible_and_unknown_things_are_refused(arguments, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert words in refuse(arguments, tmp_path / "store", capsys)


BAD_FILES = [
    ("a.txt", b"\xff\xfe broken", "UTF-8"),
    ("a.txt", b"", "empty"),
    ("a.txt", b"  \n \n", "empty"),
    ("a.jsonl", b'{"text": "a"}\n{"text": ', "a.jsonl"),
    ("a.jsonl", b'{"txet": "a"}\n', "did you mean 'txet'"),
    ("a.jsonl", b'{"text": 3}\n', "text"),
    ("a.pdf", b"x", ".txt"),
    ("a.txt", b"one small document", "split"),
]


@pytest.mark.parametrize(("name", "data", "words"), BAD_FILES, ids=range(len(BAD_FILES)))
def test_data_that_cannot_be_used_is_refused_by_the_first_stage_that_can_know(
    name, data, words, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(data)
    arguments = ["+experiment=tiny", "corpus=local", f"corpus.files=[{name}]", "tracking.mode=off"]
    code = run.main([*arguments, f"store={tmp_path}/store"])
    err = capsys.readouterr().err
    assert code == 2, err
    assert "Traceback" not in err
    assert words in err.splitlines()[-1]
    assert not list((tmp_path / "store").glob("artifacts/*/*"))
