"""Adopting folders of every kind: what cannot be trusted or computed is refused before it is copied."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lmexp import load_tokenizer
from lmexp.core.graph.stage import StageRun
from lmexp.core.values.files import FileHasher
from lmexp.errors import DataError
from lmexp.models.build import build_model
from lmexp.models.families import GPT2Config
from lmexp.models.folder import load_model, save_network
from lmexp.stages.adopted import AdoptedConfig, adopted_model, adopted_tokenizer
from tests.tokenizer.families import FAMILIES, written

SHAPE = {"context_length": 16, "num_layers": 1, "num_heads": 2, "d_model": 8}


def adopt(stage, folder: Path, out: Path):
    """Run an adopting stage as the engine does."""
    config = AdoptedConfig(path=str(folder))
    content = stage.content(config, FileHasher())
    out.mkdir(parents=True)
    return stage.function(
        StageRun(
            out=out, work=out, log=print, should_stop=lambda: False, cache=out, content=content
        ),
        config,
    )  # fmt: skip


def model_folder(folder: Path, family: str = "gpt2", padding: int = 0, **shape) -> Path:
    """Write a tiny model with a tokenizer of a family, and `padding` ids more than that has."""
    tokenizer = load_tokenizer(written(folder, family))
    config = GPT2Config(**(SHAPE | shape))
    save_network(
        build_model(config, tokenizer.vocab_size + padding, seed=1),
        folder,
        eos_token_id=tokenizer.eos_token_id,
    )
    return folder


def error_of(stage, folder: Path, tmp_path: Path) -> str:
    out = tmp_path / "out"
    with pytest.raises(DataError) as error:
        adopt(stage, folder, out)
    assert "\n" not in str(error.value)
    assert str(out) not in str(error.value), "the user's own path is named"
    return str(error.value)


@pytest.mark.parametrize("family", FAMILIES)
def test_models_with_the_tokenizers_of_public_families_are_adopted(tmp_path, family):
    folder = model_folder(tmp_path / "model", family, padding=7)
    metrics = adopt(adopted_model, folder, tmp_path / "out")
    tokenizer, model = load_tokenizer(tmp_path / "out"), load_model(tmp_path / "out")
    assert metrics["vocab_size"] == model.vocab_size == tokenizer.vocab_size + 7
    assert metrics["parameters"] == sum(p.numel() for p in model.parameters())
    assert metrics["context_length"] == 16
    assert tokenizer.start_ids == load_tokenizer(folder).start_ids
    for name in ("model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()


def test_a_tokenizer_that_breaks_a_promise_is_refused_with_its_own_path(tmp_path):
    folder = model_folder(tmp_path / "model")
    definition = json.loads((folder / "tokenizer.json").read_text())
    definition["model"]["dropout"] = 0.5
    (folder / "tokenizer.json").write_text(json.dumps(definition))
    for i, stage in enumerate((adopted_model, adopted_tokenizer)):
        message = error_of(stage, folder, tmp_path / str(i))
        assert message.startswith(f"{folder}/tokenizer.json has model.dropout 0.5:")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused_by_the_tensors_name(tmp_path, value):
    folder = model_folder(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    weights["transformer.h.0.mlp.c_fc.weight"][3, 5] = value
    save_file(weights, folder / "model.safetensors")
    message = error_of(adopted_model, folder, tmp_path)
    assert f"{folder}/model.safetensors holds a NaN or an infinity in the tensor" in message
    assert "transformer.h.0.mlp.c_fc.weight" in message


def linked(path: Path, target: Path | str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


@pytest.mark.parametrize("name", ["special_tokens_map.json", "generation_config.json", "config.json"])
@pytest.mark.parametrize("target", ["/etc/shadow", "../secret.json", "inner/../../secret.json"])
def test_a_link_out_of_the_folder_is_refused(tmp_path, name, target):
    folder = model_folder(tmp_path / "model")
    (folder / "inner").mkdir()
    (tmp_path / "secret.json").write_text("{}")
    linked(folder / name, target)
    assert f"{folder / name} is a link to" in error_of(adopted_model, folder, tmp_path)


def test_a_link_to_a_link_out_of_the_folder_is_refused(tmp_path):
    folder = model_folder(tmp_path / "model")
    (tmp_path / "secret.json").write_text("{}")
    (folder / "hop").symlink_to("../secret.json")
    linked(folder / "special_tokens_map.json", "hop")
    assert f"is a link to {tmp_path}/secret.json, out of its folder" in error_of(
        adopted_model, folder, tmp_path
    )


def test_links_within_the_folder_and_a_folder_that_is_a_link_are_followed(tmp_path):
    folder = model_folder(tmp_path / "model")
    (folder / "inner").mkdir()
    (folder / "config.json").rename(folder / "inner" / "config.json")
    linked(folder / "config.json", "inner/config.json")
    (tmp_path / "alias").symlink_to(folder)
    adopt(adopted_model, tmp_path / "alias", tmp_path / "out")
    assert not (tmp_path / "out" / "config.json").is_symlink()


def in_the_cache(tmp_path: Path) -> Path:
    """Return a snapshot as Hugging Face's cache holds it: links to the blobs of its repository."""
    folder = model_folder(tmp_path / "model")
    repository = tmp_path / "hub" / "models--some--one"
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for i, path in enumerate(sorted(folder.iterdir())):
        shutil.copyfile(path, repository / "blobs" / str(i))
        (snapshot / path.name).symlink_to(f"../../blobs/{i}")
    return snapshot


def test_a_snapshot_of_hugging_faces_cache_is_adopted(tmp_path):
    adopt(adopted_model, in_the_cache(tmp_path), tmp_path / "out")
    assert load_model(tmp_path / "out").config.num_layers == 1


@pytest.mark.parametrize("target", ["../../../other/blobs/x", "../../secret", "../../blobs/evil"])
def test_a_snapshot_that_points_past_its_own_blobs_is_refused(tmp_path, target):
    snapshot = in_the_cache(tmp_path)
    for path in (tmp_path / "hub/other/blobs/x", tmp_path / "hub/models--some--one/secret"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    (tmp_path / "hub/models--some--one/blobs/evil").symlink_to("/etc/hostname")
    linked(snapshot / "special_tokens_map.json", target)
    assert "special_tokens_map.json is a link to" in error_of(adopted_model, snapshot, tmp_path)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda p: p.mkdir(), "is a directory; a file is expected there"),
        (os.mkfifo, "is a named pipe; a file is expected there"),
        (lambda p: p.symlink_to("nowhere"), "cannot be read: No such file or directory"),
        (lambda p: p.symlink_to(p.name), "cannot be read: Too many levels of symbolic links"),
    ],
)
@pytest.mark.parametrize("name", ["tokenizer_config.json", "model.safetensors"])
def test_what_is_no_regular_file_is_refused_and_not_opened(tmp_path, make, sentence, name):
    folder = model_folder(tmp_path / "model")
    (folder / name).unlink()
    make(folder / name)
    assert sentence in error_of(adopted_model, folder, tmp_path)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path):
    folder = model_folder(tmp_path / "model")
    os.truncate(folder / "tokenizer.json", 2**40)
    assert "1,099,511,627,776 bytes; at most 268,435,456" in error_of(adopted_model, folder, tmp_path / "a")
    folder = model_folder(tmp_path / "other")
    os.truncate(folder / "model.safetensors", 2**40)
    assert "is not a readable safetensors file" in error_of(adopted_model, folder, tmp_path / "b")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (["pytorch_model.bin"], "but pytorch_model.bin, a pickle, which lmexp does not read; convert it by"),
        (["pytorch_model-00001-of-00002.bin"], "a pickle, which lmexp does not read; convert it by"),
        (["model-00002-of-00002.safetensors"], "reads in one piece, but model-00002-of-00002.safetensors"),
        (["weights.gguf"], "but weights.gguf, which lmexp does not read; save its weights by"),
        (["last.ckpt"], "but last.ckpt, which lmexp does not read; save its weights by"),
        (["consolidated.00.pth"], "but consolidated.00.pth, which lmexp does not read; save its weights by"),
        ([], "holds no model.safetensors; give a directory in Hugging Face's layout"),
    ],
)
def test_weights_in_another_format_are_named_with_the_way_to_convert_them(tmp_path, files, sentence):
    folder = model_folder(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    for name in files:
        (folder / name).write_bytes(b"")
    message = error_of(adopted_model, folder, tmp_path)
    assert message.startswith(f"{folder} holds no model.safetensors")
    assert sentence in message


def test_the_command_that_converts_a_pickle_makes_a_folder_that_is_adopted(tmp_path):
    pytest.importorskip("transformers")
    folder = model_folder(tmp_path / "it's é")
    before = load_model(folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    message = error_of(adopted_model, folder, tmp_path)
    python, *words = shlex.split(message.partition("convert it by: ")[2].removesuffix("."))
    assert python == "python"
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    adopt(adopted_model, folder, tmp_path / "adopted")
    after = load_model(tmp_path / "adopted").state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.state_dict().items())


def test_the_plan_of_an_adoption_does_not_import_torch(tmp_path, monkeypatch):
    folder = model_folder(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it would fail
    assert set(adopted_model.content(AdoptedConfig(path=str(folder)), FileHasher())) == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
