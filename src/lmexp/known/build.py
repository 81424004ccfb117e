"""From a configuration to its process, and to the texts drawn from it."""

from collections.abc import Iterator

import numpy as np

from lmexp.known.config import ProcessConfig
from lmexp.known.grammar import draw_grammar
from lmexp.known.hidden_markov import HiddenMarkovModel
from lmexp.known.markov import MarkovChain
from lmexp.known.process import Process, draw_line, sharp_rows


def build_process(config: ProcessConfig) -> Process:
    """Return the process whose probabilities `config.seed` draws."""
    generator = _generator(config.seed, 0)
    num_symbols, length, sharpness = config.num_symbols, config.line_length, config.sharpness
    if config.process == "grammar":
        return draw_grammar(generator, config.num_states, num_symbols, length, sharpness)
    if config.process == "hidden_markov":
        start, transition, emission = (
            sharp_rows(generator, shape, sharpness)
            for shape in (
                (config.num_states,),
                (config.num_states, config.num_states),
                (config.num_states, num_symbols),
            )
        )
        return HiddenMarkovModel(start, transition, emission, length)
    contexts = (num_symbols + 1) ** config.order
    return MarkovChain(sharp_rows(generator, (contexts, num_symbols), sharpness), config.order, length)


def draw_texts(config: ProcessConfig, num_lines: int) -> Iterator[str]:
    """Yield texts of `num_lines` lines each, without end; the i-th depends on the seed and i alone."""
    process = build_process(config)
    number = 0
    while True:
        number += 1
        generator = _generator(config.seed, number)
        yield "".join(draw_line(process, generator) for _ in range(num_lines))


def _generator(seed: int, number: int) -> np.random.Generator:
    key = np.random.SeedSequence((seed, number)).generate_state(2, np.uint64)
    return np.random.Generator(np.random.Philox(key=key))
