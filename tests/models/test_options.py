"""The defaults and limits of this room's options: to change one is a decision."""

from tests.options import table

MODULES = (
    "lmexp.models.config",
    "lmexp.models.device",
    "lmexp.models.families.qwen3.config",
    "lmexp.models.families.gpt2.config",
    "lmexp.models.families.mlp.config",
    "lmexp.models.families.recurrent.config",
    "lmexp.models.families.encoder.config",
    "lmexp.models.families.hugging_face.config",
    "lmexp.models.families.diffusion.config",
)
OPTIONS = """\
ContextConfig.context_length = 256 >= 2 <= 1048576
DeviceConfig.device = 'auto' of auto, cpu, cuda
DeviceConfig.precision = '32-true' of 32-true, bf16-mixed (absent: '32-true')
GPTConfig.num_layers = 4 >= 1 <= 1024
GPTConfig.num_heads = 4 >= 1 <= 1024
GPTConfig.num_kv_heads = 4 >= 1 <= 1024
GPTConfig.d_model = 256 >= 2 <= 1048576
GPTConfig.head_dim = None >= 2 <= 65536
GPTConfig.d_ff = None >= 1 <= 8388608
GPTConfig.tie_embeddings = True
GPTConfig.rope_theta = 10000.0 > 0
GPTConfig.norm_eps = 1e-06 > 0 < 1
GPTConfig.init_std = 0.02 > 0 <= 10
GPTConfig.init_offset = 0.0 >= 0 <= 100 (absent: 0.0)
GPT2Config.num_layers = 4 >= 1 <= 1024
GPT2Config.num_heads = 4 >= 1 <= 1024
GPT2Config.d_model = 256 >= 2 <= 1048576
GPT2Config.d_ff = None >= 1 <= 8388608
GPT2Config.tie_embeddings = True
GPT2Config.norm_eps = 1e-06 > 0 < 1
GPT2Config.init_std = 0.02 > 0 <= 10
MLPConfig.order = 5 >= 2 <= 1024
MLPConfig.d_model = 64 >= 1 <= 1048576
MLPConfig.d_ff = 256 >= 1 <= 8388608
MLPConfig.direct = False
MLPConfig.init_std = 0.1 > 0 <= 10
RecurrentConfig.num_layers = 2 >= 1 <= 1024
RecurrentConfig.d_model = 256 >= 1 <= 1048576
RecurrentConfig.tie_embeddings = True
RecurrentConfig.init_std = 0.02 > 0 <= 10
RecurrentConfig.word_dropout = 0.0 >= 0 < 1 (absent: 0.0)
RecurrentConfig.embedding_dropout = 0.0 >= 0 < 1 (absent: 0.0)
RecurrentConfig.layer_dropout = 0.0 >= 0 < 1 (absent: 0.0)
RecurrentConfig.output_dropout = 0.0 >= 0 < 1 (absent: 0.0)
RecurrentConfig.weight_dropout = 0.0 >= 0 < 1 (absent: 0.0)
RecurrentConfig.variational = True (absent: True)
EncoderConfig.num_layers = 4 >= 1 <= 1024
EncoderConfig.num_heads = 4 >= 1 <= 1024
EncoderConfig.d_model = 256 >= 2 <= 1048576
EncoderConfig.d_ff = None >= 1 <= 8388608
EncoderConfig.norm_eps = 1e-12 > 0 < 1
EncoderConfig.init_std = 0.02 > 0 <= 10
HuggingFaceConfig.model_type
"""


def test_no_default_and_no_limit_of_an_option_changes_unnoticed():
    assert table(*MODULES) == OPTIONS
