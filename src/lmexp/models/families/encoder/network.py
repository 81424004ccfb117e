"""A bidirectional encoder, whose parameters carry the names of Hugging Face's BertForMaskedLM.

Tokens, learned positions and one kind of segment are added and normed. A block is post-norm: attention in
both directions, added and normed, then two matrices with GELU between them, added and normed. The head is a
matrix with GELU and a norm, then the token embedding turned around, with a bias for each token. There is no
dropout. It computes what ``BertForMaskedLM`` computes with dropout off.

The last id of the vocabulary is the mask, which no tokenizer writes.

Matrices and embeddings start as N(0, init_std^2), biases at zero and norms at one, all drawn from a generator
of the model's own.

Shapes: B batch, T time, D d_model, H heads, K head_dim, V vocabulary.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmexp.errors import DataError
from lmexp.models.families.encoder.config import EncoderConfig
from lmexp.models.layers.linear import Linear
from lmexp.models.layers.visibility import document_positions
from lmexp.models.network import MaskedNetwork


class Attention(nn.Module):
    """Attention in both directions."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        for name in ("query", "key", "value"):
            self.add_module(name, Linear(config.d_model, config.d_model, bias=True))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map ``x [B, T, D]`` to ``[B, T, D]``; ``mask [B, 1, T, T]`` is True where a token may attend."""
        heads = (*x.shape[:2], self.num_heads, -1)
        q, k, v = (self.get_submodule(n)(x).view(heads).transpose(1, 2) for n in ("query", "key", "value"))
        mixed = functional.scaled_dot_product_attention(q, k, v, mask)  # [B, H, T, K]
        return mixed.transpose(1, 2).flatten(2)


class Normed(nn.Module):
    """LayerNorm(x + dense(y))."""

    def __init__(self, num_inputs: int, config: EncoderConfig) -> None:
        super().__init__()
        self.dense = Linear(num_inputs, config.d_model, bias=True)
        self.LayerNorm = nn.LayerNorm(config.d_model, config.norm_eps)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Map ``x [B, T, D]`` and ``y [B, T, num_inputs]`` to ``[B, T, D]``."""
        return self.LayerNorm(x + self.dense(y))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Attention, then the MLP, each added and normed."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.attention = nn.ModuleDict({"self": Attention(config), "output": Normed(config.d_model, config)})
        self.intermediate = nn.ModuleDict({"dense": Linear(config.d_model, config.resolved_d_ff, bias=True)})
        self.output = Normed(config.resolved_d_ff, config)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map ``x [B, T, D]`` to ``[B, T, D]``."""
        x = self.attention["output"](x, self.attention["self"](x, mask))
        return self.output(x, functional.gelu(self.intermediate["dense"](x)))  # type: ignore[no-any-return]


class Embeddings(nn.Module):
    """Tokens, positions and the first kind of segment, added and normed."""

    def __init__(self, config: EncoderConfig, vocab_size: int) -> None:
        super().__init__()
        self.word_embeddings = _embedding(vocab_size, config)
        self.position_embeddings = _embedding(config.context_length, config)
        self.token_type_embeddings = _embedding(2, config)
        self.LayerNorm = nn.LayerNorm(config.d_model, config.norm_eps)

    def forward(self, input_ids: Tensor, positions: Tensor) -> Tensor:
        """Return ``[B, T, D]`` of ``input_ids [B, T]`` at ``positions``, ``[T]`` or ``[B, T]``."""
        x = self.word_embeddings(input_ids) + self.token_type_embeddings.weight[0]
        return self.LayerNorm(x + self.position_embeddings(positions))  # type: ignore[no-any-return]


def _embedding(rows: int, config: EncoderConfig) -> nn.Embedding:
    """Return an embedding, left unfilled."""
    return nn.Embedding(rows, config.d_model, _weight=torch.empty(rows, config.d_model))


class Predictions(nn.Module):
    """The head: a transform, and a bias for each token."""

    def __init__(self, config: EncoderConfig, vocab_size: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(vocab_size))
        self.transform = nn.ModuleDict(
            {
                "dense": Linear(config.d_model, config.d_model, bias=True),
                "LayerNorm": nn.LayerNorm(config.d_model, config.norm_eps),
            }
        )

    def forward(self, hidden: Tensor, embedding: Tensor) -> Tensor:
        """Return logits ``[..., V]`` of ``hidden [..., D]`` under an ``embedding [V, D]``."""
        x = self.transform["LayerNorm"](functional.gelu(self.transform["dense"](hidden)))
        return functional.linear(x, embedding, self.bias)


class Encoder(MaskedNetwork):
    """The network: token ids in, logits of the hidden ones out."""

    config: EncoderConfig
    embeddings: ClassVar[frozenset[str]] = frozenset(
        f"bert.embeddings.{name}_embeddings.weight" for name in ("word", "position", "token_type")
    )

    def __init__(self, config: EncoderConfig, vocab_size: int, *, seed: int = 0) -> None:
        """Build the model with weights drawn from `seed` (in fp32, whatever the later precision)."""
        super().__init__(config, vocab_size)
        layers = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.bert = nn.ModuleDict(
            {"embeddings": Embeddings(config, vocab_size), "encoder": nn.ModuleDict({"layer": layers})}
        )
        self.cls = nn.ModuleDict({"predictions": Predictions(config, vocab_size)})
        self._draw_weights(torch.Generator().manual_seed(seed))

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The blocks."""
        return self.get_submodule("bert.encoder.layer")  # type: ignore[return-value]

    def hidden_states(self, input_ids: Tensor, *, documents: Tensor | None = None) -> Tensor:
        """Return the last block's output ``[B, T, D]``; see `Network.hidden_states`."""
        num_times, limit = input_ids.shape[1], self.config.context_length
        if num_times > limit:
            raise DataError(
                f"the model reads at most {limit} tokens and was given {num_times}; "
                f"shorten the input or train with a larger model.context_length."
            )
        positions, mask = torch.arange(num_times, device=input_ids.device), None
        if documents is not None:
            positions = document_positions(documents)
            mask = (documents[:, :, None] == documents[:, None, :])[:, None]
        x = self.get_submodule("bert.embeddings")(input_ids, positions)
        for block in self.blocks:
            x = block(x, mask)
        return x  # type: ignore[no-any-return]

    def logits(self, hidden: Tensor) -> Tensor:
        """Return logits ``[..., V]`` of hidden states ``[..., D]``, for the positions one needs."""
        embedding = self.get_parameter("bert.embeddings.word_embeddings.weight")
        return self.cls["predictions"](hidden, embedding)  # type: ignore[no-any-return]

    @torch.no_grad()
    def _draw_weights(self, generator: torch.Generator) -> None:
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=self.config.init_std, generator=generator)
            elif name.endswith("bias"):
                parameter.zero_()


NETWORK = Encoder
