"""How Hugging Face's Qwen3 is written."""

from collections.abc import Mapping
from typing import Any

from lmexp.models.families.qwen3.config import GPTConfig
from lmexp.models.transformers_format import TransformersFormat


class _Qwen3Format(TransformersFormat):
    """Qwen3, whose rotary positions are nested."""

    def written(self, config: Any, of_all: Mapping[str, Any]) -> dict[str, Any]:
        return super().written(config, of_all) | {
            "head_dim": config.resolved_head_dim,
            "intermediate_size": config.resolved_d_ff,
            "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
            "attention_dropout": 0.0,
        }

    def read(self, values: Mapping[str, Any], rope: Mapping[str, Any]) -> dict[str, Any]:
        return super().read(values, rope) | {"rope_theta": rope["rope_theta"]}


FORMAT = _Qwen3Format(
    config_class=GPTConfig,
    hf_class="Qwen3ForCausalLM",
    embedding="model.embed_tokens.weight",
    only={
        "model_type": "qwen3",
        "hidden_act": "silu",
        "attention_bias": False,
        "use_sliding_window": False,
    },
    fields={
        "max_position_embeddings": "context_length",
        "num_hidden_layers": "num_layers",
        "num_attention_heads": "num_heads",
        "num_key_value_heads": "num_kv_heads",
        "hidden_size": "d_model",
        "head_dim": "head_dim",
        "intermediate_size": "d_ff",
        "tie_word_embeddings": "tie_embeddings",
        "rms_norm_eps": "norm_eps",
        "initializer_range": "init_std",
    },
)
