"""Which random process draws the lines of a `known` text."""

from lmexp.core.values.config import Config, option
from lmexp.errors import ConfigError

_MAX_BELIEFS = 2**22
"""Most pairs of a line's prefix and a state over which a hidden Markov model's entropy is summed."""


class ProcessConfig(Config):
    """A process over the first `num_symbols` lower-case letters. Its probabilities are drawn by `seed`."""

    process: str = option(default="markov", choices=("markov", "hidden_markov", "grammar"))
    """`markov` looks at the last `order` symbols of the line; `hidden_markov` at a state that is not
    written; `grammar` at a stack of symbols still to be expanded."""

    num_symbols: int = option(default=8, ge=2, le=26)
    """Letters that a line is made of."""

    order: int = option(default=2, ge=0, le=3)
    """Symbols that the next one depends on; read only with `process: markov`."""

    num_states: int = option(default=4, ge=1, le=64)
    """Hidden states, or nonterminals; read only with `process: hidden_markov` and `grammar`."""

    line_length: int = option(default=12, ge=1, le=256)
    """Symbols of every line, the newline apart; with `process: grammar` their mean number."""

    sharpness: float = option(default=1.5, ge=0, le=10)
    """Probabilities are in proportion to exp(sharpness x a standard normal): 0 makes them equal, and
    the larger it is, the fewer symbols are likely and the lower the entropy."""

    seed: int = option(default=0, ge=0, le=2**63 - 1)
    """Draws the probabilities and the text."""

    def check(self) -> None:
        prefixes = _MAX_BELIEFS // self.num_states
        if self.process == "hidden_markov" and self.num_symbols ** (self.line_length - 1) > prefixes:
            longest = next(n for n in range(1, 256) if self.num_symbols**n > prefixes)
            raise ConfigError(
                f"line_length must be at most {longest} for a hidden Markov model of {self.num_symbols} "
                f"symbols and {self.num_states} states, because its exact entropy is a sum over all "
                f"prefixes of a line; was {self.line_length}."
            )
