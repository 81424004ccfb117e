"""How the next token is chosen, how many there may be, and which texts a run continues."""

from collections.abc import Mapping
from typing import ClassVar

from lmexp.core.values.config import Config, option
from lmexp.errors import ConfigError
from lmexp.models.device import DeviceConfig


class SamplingConfig(Config):
    """Temperature, then top-k, then top-p; all of them off draws from the model's own distribution."""

    refused: ClassVar[Mapping[str, str]] = {
        "do_sample": "temperature=0 is greedy and anything above it samples",
        "num_beams": "there is no beam search",
        "max_length": "max_new_tokens counts without the prompt",
    }

    max_new_tokens: int = option(default=200, ge=1)
    """Most tokens that are added to the prompt; the end-of-text token ends it sooner."""

    temperature: float = option(default=1.0, ge=0)
    """Divides the logits: below 1 sharpens the distribution, above 1 flattens it. 0 is greedy: always
    the most likely token, the lowest id of equals."""

    top_k: int | None = option(default=None, ge=1)
    """Most likely tokens that are kept, the lowest ids of equals; null keeps all."""

    top_p: float | None = option(default=None, gt=0, le=1)
    """Probability whose smallest set of most likely tokens is kept, after temperature and top-k; null
    or 1 keeps all (nucleus sampling: Holtzman et al., arXiv 1904.09751)."""

    stop: tuple[str, ...] = option(default=(), absent_means=())
    """Texts before which a continuation ends, white space at its beginning apart."""

    suffix: str = option(default="", absent_means="")
    """A text that stands behind what is written, which fills the gap before it; only of a model that fills
    gaps."""

    steps: int | None = option(default=None, ge=1, absent_means=None)
    """Passes in which a model that fills gaps writes a text, in each as many tokens; null means one a token.
    Not read of a model that writes one token after another."""

    order: str = option(default="confidence", choices=("confidence", "random"), absent_means="confidence")
    """Which tokens a model that fills gaps tells first: those that it is surest of, or any. Not read of
    a model that writes one token after another."""

    seed: int = option(default=0, ge=0, le=2**63 - 1)
    """Seeds the draws; the same seed gives the same text."""

    def check(self) -> None:
        if "" in self.stop:
            raise ConfigError("stop must name texts that are not empty.")
        if any("\ud800" <= character <= "\udfff" for character in self.suffix):
            raise ConfigError(f"suffix must be valid Unicode, was {self.suffix!r}.")


class SamplesConfig(SamplingConfig, DeviceConfig):
    """Texts that a trained model continues, each several times."""

    prompts: tuple[str, ...] = option(default=("",))
    """Texts to continue; the empty one begins a document."""

    num_samples: int = option(default=3, ge=1, le=1000)
    """Continuations of each prompt. The first draws with `seed`, the next with `seed` + 1, and so on."""

    def check(self) -> None:
        super().check()
        if not self.prompts or len(set(self.prompts)) != len(self.prompts):
            raise ConfigError(f"prompts must name at least one text, each once, was {list(self.prompts)}.")
        for prompt in self.prompts:
            if any("\ud800" <= character <= "\udfff" for character in prompt):
                raise ConfigError(f"prompts must be valid Unicode, was {prompt!r}.")
        if self.seed + self.num_samples > 2**63:
            raise ConfigError(
                f"seed must leave room for {self.num_samples} more below 2**63, was {self.seed}."
            )
        if self.temperature == 0 and self.num_samples > 1:
            raise ConfigError(
                f"temperature=0 gives the same text {self.num_samples} times; set num_samples=1 with it."
            )
