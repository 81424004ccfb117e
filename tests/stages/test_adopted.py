"""Adopting: what enters the store is what was there and measures the same; the rest is refused."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
import tokenizers
import torch
import transformers
from safetensors.torch import load_file, save_file

from lmexp import cli, load_model, load_tokenizer
from lmexp.core.graph.stage import StageRun
from lmexp.core.records.runs import find_run
from lmexp.core.store.store import Store
from lmexp.core.values.files import FileHasher
from lmexp.errors import DataError
from lmexp.stages import CorpusArtifact
from lmexp.stages.adopted import AdoptedConfig, adopted_model, adopted_tokenizer
from tests.conftest import lmexp_run


def adopt(stage, folder: Path, out: Path):
    """Run an adopting stage as the engine does."""
    config = AdoptedConfig(path=str(folder))
    out.mkdir(parents=True)
    run = StageRun(
        out=out,
        work=out,
        log=lambda _point: None,
        should_stop=lambda: False,
        cache=out,
        content=stage.content(config, FileHasher()),
    )
    return stage.function(run, config)


@pytest.fixture
def folder(finished, tmp_path) -> Path:
    """A copy of the pretrain artifact, without its record."""
    shutil.copytree(finished[1].artifact("pretrain"), tmp_path / "model")
    (tmp_path / "model" / "artifact.json").unlink()
    return tmp_path / "model"


def test_an_adopted_model_measures_what_the_model_it_came_from_measured(finished, small, folder, tmp_path):
    _, run, _ = finished
    words = [w for w in small if w.startswith(("corpus", "prompts"))]
    done = lmexp_run(
        tmp_path / "store", "--config-name", "evaluate", f"model.path={folder}", *words,
        "perplexity.limit=4", "tracking.mode=off",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    evaluated = find_run(Store(tmp_path / "store"), "last")
    for key, value in run.metrics.items():
        if key.startswith("perplexity/"):
            assert evaluated.metrics[key] == pytest.approx(value, rel=1e-6), key


def test_a_tokenizer_of_another_run_is_taken_instead_of_training_one(finished, small, tmp_path):
    path = finished[1].artifact("tokenizer")
    done = lmexp_run(
        tmp_path / "store", *small, f"tokenizer.path={path}", "only=[packing]", "tracking.mode=off"
    )
    assert done.returncode == 0, done.stderr
    run = find_run(Store(tmp_path / "store"), "last")
    assert run.stages["tokenizer"]["stage"] == "adopted_tokenizer"
    shards = [
        sorted((p.name, p.read_bytes()) for p in r.artifact("packing").glob("*.bin"))
        for r in (run, finished[1])
    ]
    assert shards[0] == shards[1]


def test_adopting_the_artifact_of_an_adoption_is_the_same_artifact(folder, tmp_path, capsys):
    store = tmp_path / "store"
    assert cli.main(["adopt", "model", str(folder), f"store={store}"]) == 0
    first = capsys.readouterr().out.splitlines()[0].removeprefix("adopted as ")
    assert torch.equal(load_model(first).model.norm.weight, load_model(folder).model.norm.weight)
    assert cli.main(["adopt", "model", first, f"store={store}"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"adopted as {first}"
    assert cli.main(["gc", f"store={store}"]) == 0
    assert "bytes would be freed" in capsys.readouterr().out.splitlines()[0], "an adoption is kept"


def test_an_adopted_corpus_keeps_its_splits_and_is_reused_by_the_command_that_is_printed(tmp_path, capsys):
    texts = {"train": "training words\n" * 40, "validation": "other words\n" * 40, "test": "held out\n" * 40}
    for split, text in texts.items():
        (tmp_path / f"wiki.{split}.tokens.txt").write_text(text)
    store = tmp_path / "store"
    words = [f"{split}={tmp_path}/wiki.{split}.*" for split in texts]
    assert cli.main(["adopt", "corpus", *words, f"store={store}"]) == 0
    artifact, use = capsys.readouterr().out.splitlines()
    documents = {s: [d.text for d in CorpusArtifact(Path(artifact[11:])).documents(s)] for s in texts}
    assert documents == {split: [text] for split, text in texts.items()}
    printed = [word for word in shlex.split(use) if "=" in word]
    planned = [word.replace("=NAME", "=tiny") for word in printed]
    assert cli.main(["plan", *planned, f"store={store}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stages"]["corpus"]["action"] == "reuse"


def test_gpt2s_own_kind_of_tokenizer_is_adopted(tmp_path):
    backend = tokenizers.ByteLevelBPETokenizer(add_prefix_space=False)
    backend.train_from_iterator(
        ["the cat sat on the mat"] * 9, vocab_size=300, special_tokens=["<|endoftext|>"]
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend._tokenizer, eos_token="<|endoftext|>", bos_token="<|endoftext|>"
    )
    fast.save_pretrained(tmp_path / "fast")
    metrics = adopt(adopted_tokenizer, tmp_path / "fast", tmp_path / "out")
    ours = load_tokenizer(tmp_path / "out")
    assert metrics["vocab_size"] == len(fast)
    assert ours.encode("the cat, sät") == fast("the cat, sät")["input_ids"]


def test_a_tokenizer_that_changes_texts_is_refused(tmp_path):
    backend = tokenizers.ByteLevelBPETokenizer(add_prefix_space=False, lowercase=True)
    backend.train_from_iterator(["the cat"] * 9, vocab_size=300, special_tokens=["<|endoftext|>"])
    (tmp_path / "lower").mkdir()
    backend.save(str(tmp_path / "lower" / "tokenizer.json"))
    with pytest.raises(DataError, match="normalizer Lowercase: it changes a text"):
        adopt(adopted_tokenizer, tmp_path / "lower", tmp_path / "out")


def test_a_model_whose_weights_do_not_fit_its_config_is_refused(folder, tmp_path):
    weights = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in weights.items() if "norm" not in k}, folder / "model.safetensors")
    with pytest.raises(DataError, match="lacks tensor"):
        adopt(adopted_model, folder, tmp_path / "out")


def test_a_tokenizer_with_more_ids_than_the_model_is_refused(folder, tmp_path):
    backend = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    backend.add_tokens([f"<extra {i}>" for i in range(9)])
    backend.save(str(folder / "tokenizer.json"))
    with pytest.raises(DataError, match="do not belong together"):
        adopt(adopted_model, folder, tmp_path / "out")


def test_a_file_that_changes_between_plan_and_copy_is_refused(folder, tmp_path):
    (tmp_path / "out").mkdir()
    run = StageRun(
        out=tmp_path / "out", work=tmp_path, log=print, should_stop=lambda: False, cache=tmp_path,
        content={"config.json": "0" * 64},
    )  # fmt: skip
    with pytest.raises(DataError, match="changed while being read"):
        adopted_model.function(run, AdoptedConfig(path=str(folder)))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["modle", "x"], "was given 'modle' (did you mean 'model'?)"),
        ([], "adopt takes one of model, tokenizer, corpus"),
        (["model"], "adopt model takes one PATH"),
        (["corpus", "train=a.txt", "tset=b.txt"], "was given 'tset'"),
        (["corpus", "train=a.txt", "test=b.txt"], "needs validation=FILES"),
        (["corpus", "train=a.txt", "test=b.txt", "validation=c.txt"], "no file matches"),
        (["model", "missing"], "is no directory"),
        (["tokenizer", "."], "holds no tokenizer.json"),
    ],
)
def test_what_cannot_be_adopted_is_refused_in_one_sentence(words, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["adopt", *words, f"store={tmp_path / 'store'}"]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_nothing_but_the_known_files_is_copied(folder, tmp_path):
    (folder / "modeling_evil.py").write_text("raise SystemExit")
    adopt(adopted_model, folder, tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} <= {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert json.loads((tmp_path / "out" / "config.json").read_text())["model_type"] == "qwen3"
