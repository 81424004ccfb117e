"""A family of one's own: the feed-forward language model of Bengio et al. (JMLR 3, 2003), in one file.

A token is predicted from the embeddings of the last `window` tokens, laid end to end:

    h_t = tanh(W [e(x_{t-w+1}) ... e(x_t)] + b);  logits_t = U h_t + c

Before a document stands "nothing", which has an embedding of its own. What has been read is therefore known
by its last w - 1 ids: they are the state, and there is no longest text.

Shapes: B rows, T time, W window, D d_model, F d_ff, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lmexp.core.values.config import option
from lmexp.models.config import ModelConfig
from lmexp.models.families import register_network
from lmexp.models.interface import Capability
from lmexp.models.network import CausalNetwork


class WindowConfig(ModelConfig):
    """One hidden layer over the last tokens."""

    window: int = option(default=8, ge=1, le=1024)
    """Number of tokens that the next one is predicted from, W."""

    d_model: int = option(default=32, ge=1, le=65_536)
    """Width of an embedding, D."""

    d_ff: int = option(default=128, ge=1, le=65_536)
    """Width of the hidden layer, F."""

    @property
    def can(self) -> frozenset[Capability]:
        return frozenset({"next_token", "documents", "streams"})

    @property
    def label(self) -> str:
        return f"window-{self.window}x{self.d_model}x{self.d_ff}"

    @property
    def size(self) -> str:
        return f"a window of {self.window} tokens of width {self.d_model}, {self.d_ff} hidden units"


@dataclass
class Last:
    """The last ids of each row, ``[B, W - 1]``."""

    ids: Tensor

    def take(self, rows: Sequence[int]) -> "Last":
        return Last(self.ids[list(rows)])

    @classmethod
    def join(cls, states: Sequence["Last"]) -> "Last":
        return cls(torch.cat([state.ids for state in states]))


class Window(CausalNetwork):
    """The network: token ids in, logits out."""

    config: WindowConfig
    embeddings = frozenset({"embedding.weight"})
    head = "unembedding.weight"

    def __init__(self, config: WindowConfig, vocab_size: int, *, seed: int = 0) -> None:
        super().__init__(config, vocab_size)
        with torch.random.fork_rng(devices=[]):  # the same weights, whatever was drawn before
            torch.manual_seed(seed)
            self.embedding = nn.Embedding(vocab_size + 1, config.d_model)  # the last row is "nothing"
            self.hidden = nn.Linear(config.window * config.d_model, config.d_ff)
            self.unembedding = nn.Linear(config.d_ff, vocab_size)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        return ()  # there are no layers that would be compiled one by one

    def new_state(self, num_rows: int) -> Last:
        shape = (num_rows, self.config.window - 1)
        return Last(torch.full(shape, self.vocab_size, device=self.device))

    def hidden_states(
        self,
        input_ids: Tensor,
        *,
        state: Last | None = None,
        lengths: Sequence[int] | None = None,
        documents: Tensor | None = None,
    ) -> Tensor:
        before = self.new_state(len(input_ids)) if state is None else state
        ids = torch.cat([before.ids, input_ids], dim=1)  # [B, W - 1 + T]
        seen = ids.unfold(1, self.config.window, 1)  # [B, T, W]
        if documents is not None:
            owners = torch.cat([torch.full_like(before.ids, -1), documents], dim=1)
            same = owners.unfold(1, self.config.window, 1) == documents[..., None]
            seen = seen.where(same, self.vocab_size)
        if state is not None:  # what follows a row's length is padding, and is not remembered
            read = torch.tensor(lengths or [input_ids.shape[1]] * len(ids), device=ids.device)
            last = torch.arange(self.config.window - 1, device=ids.device)
            state.ids = ids.gather(1, read[:, None] + last)
        return torch.tanh(self.hidden(self.embedding(seen).flatten(2)))

    def logits(self, hidden: Tensor) -> Tensor:
        return self.unembedding(hidden)


NETWORK = Window
register_network("window", WindowConfig)
