"""What training draws at random, each number a pure function of (seed, step, sample).

So a sample's noise is the same at any world size and micro-batch size, and after a resume, and another one
each time that the sample comes up. The generator is Philox, which counts (Salmon et al. 2011).
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Noise:
    """The noise of one step."""

    seed: int
    step: int

    def of(self, sample: int) -> np.random.Generator:
        """Return the generator of a sample's noise."""
        key = np.random.SeedSequence((self.seed, self.step, sample)).generate_state(2, np.uint64)
        return np.random.Generator(np.random.Philox(key=key))

    def masks_of(self, sample: int) -> np.random.Generator:
        """Return the generator of what a network drops of a sample; independent of `of`."""
        return self._spawned(sample, use=1)

    def masks(self) -> np.random.Generator:
        """Return the generator of what a network drops alike for all samples of the step."""
        return self._spawned(0, use=2)

    def _spawned(self, sample: int, use: int) -> np.random.Generator:
        sequence = np.random.SeedSequence((self.seed, self.step, sample), spawn_key=(use,))
        return np.random.Generator(np.random.Philox(key=sequence.generate_state(2, np.uint64)))
