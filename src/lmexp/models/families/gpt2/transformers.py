"""How Hugging Face's GPT2 is written."""

from collections.abc import Mapping
from typing import Any

from lmexp.models.families.gpt2.config import GPT2Config
from lmexp.models.transformers_format import TransformersFormat


class _GPT2Format(TransformersFormat):
    """GPT2, which names three dropouts."""

    def written(self, config: Any, of_all: Mapping[str, Any]) -> dict[str, Any]:
        dropout = dict.fromkeys(("embd_pdrop", "attn_pdrop", "resid_pdrop"), 0.0)
        return super().written(config, of_all) | dropout | {"n_inner": config.resolved_d_ff}


FORMAT = _GPT2Format(
    config_class=GPT2Config,
    hf_class="GPT2LMHeadModel",
    embedding="transformer.wte.weight",
    only={
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "add_cross_attention": False,
    },
    fields={
        "n_positions": "context_length",
        "n_layer": "num_layers",
        "n_head": "num_heads",
        "n_embd": "d_model",
        "n_inner": "d_ff",
        "tie_word_embeddings": "tie_embeddings",
        "layer_norm_epsilon": "norm_eps",
        "initializer_range": "init_std",
    },
    absent={"n_inner": None, "tie_word_embeddings": True},
    prefix="transformer.",
    turned=("c_attn.weight", "c_proj.weight", "c_fc.weight"),
    constants=(".attn.bias", ".attn.masked_bias"),
)
