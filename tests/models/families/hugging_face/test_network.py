"""Five architectures of transformers pass the audit, and score what transformers' own log-softmax says."""

import json

import numpy as np
import pytest
import torch
import transformers

from lmexp import cli, load_tokenizer
from lmexp.errors import DataError
from lmexp.models.folder import load_any
from lmexp.scoring.scorer import scorer_of
from tests.tokenizer.families import TEXTS, written

SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 32,
    "initializer_range": 0.3,
}
ARCHITECTURES = ("Llama", "Mistral", "GPTNeoX", "Olmo2", "Qwen2")


@pytest.fixture
def folder(tmp_path, request):
    """A folder with random weights of an architecture and a tokenizer, as transformers saves them."""
    path = tmp_path / "model"
    vocab_size = load_tokenizer(written(path, "gpt2")).vocab_size + 3
    config = getattr(transformers, f"{request.param}Config")(vocab_size=vocab_size, **SHAPE)
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(path)
    return path


@pytest.mark.parametrize("folder", ARCHITECTURES, indirect=True)
def test_a_random_model_passes_the_audit_and_scores_its_own_log_softmax(folder, tmp_path, capsys):
    (tmp_path / "texts.txt").write_text("\n\n".join(TEXTS[:6]))
    assert cli.main(["audit", str(folder), "--file", str(tmp_path / "texts.txt"), "--json"]) == 0
    rows = {row["check"]: row for row in json.loads(capsys.readouterr().out)["checks"]}
    assert rows.pop("test_split")["verdict"] == "unknown"
    assert {row["verdict"] for row in rows.values()} == {"pass"}
    assert "sums_to_one" in rows

    model, ids = load_any(folder), load_tokenizer(folder).encode(TEXTS[0])[:20]
    (found,) = scorer_of(model, bos_token_id=0).score([((), ids)])
    inner = transformers.AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        own = inner(torch.tensor([[0, *ids]])).logits[0].log_softmax(-1)
    np.testing.assert_allclose(found, own[np.arange(len(ids)), ids].numpy(), atol=1e-5)


@pytest.mark.parametrize("folder", ["Llama"], indirect=True)
def test_code_that_a_folder_brings_is_not_run_and_what_is_damaged_is_said(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModelForCausalLM": "x.Y"}}))
    with pytest.raises(DataError, match=r"brings code of its own"):
        load_any(folder)
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "no_such"}))
    with pytest.raises(DataError, match=r"cannot be read by transformers"):
        load_any(folder)
