"""A training step in bf16-mixed against one in fp32 on a CPU, as ratios of CPU time.

Both models have the same shape and take steps by turns in one process, forward, backward and optimizer,
so that a noisy machine disturbs both alike; the median of the ratios is printed. Below 1 bf16 is faster.

Measured on a Xeon with avx512f but no bf16 instructions, one thread, nine pairs each, while others used
the machine: small_gpt's shape 1.97 (1.70 to 2.03), width 512 3.35 (2.90 to 3.67), GPT-2 of width 512
3.63 (3.23 to 3.81). Such a CPU should train in 32-true.
"""

import statistics
import time
from contextlib import nullcontext

import torch

from lmexp.models.build import build_model
from lmexp.models.config import ModelConfig
from lmexp.models.families import GPT2Config, GPTConfig
from lmexp.training.objectives.cross_entropy import nll_sum
from lmexp.training.optimization.config import OptimizerConfig
from lmexp.training.optimization.optimizers import build_optimizer

ROUNDS = 9
SHAPES = {
    "small_gpt, width 192": (
        GPTConfig(num_heads=3, num_kv_heads=1, d_model=192, d_ff=512, tie_embeddings=False),
        OptimizerConfig(name="muon", muon_ns_steps=3),
        2048,
    ),
    "qwen3, width 512": (GPTConfig(num_heads=8, d_model=512), OptimizerConfig(), 4096),
    "gpt2, width 512": (
        GPT2Config(num_heads=8, d_model=512),
        OptimizerConfig(),
        4096,
    ),
}
"""Shape, optimizer and vocabulary; each model has 4 layers and reads 4 sequences of 256 tokens."""


class Steps:
    """A model that takes training steps on the same tokens."""

    def __init__(
        self, model: ModelConfig, optimizer: OptimizerConfig, vocab_size: int, *, mixed: bool
    ) -> None:
        self.model = build_model(model, vocab_size)
        self.optimizer = build_optimizer(optimizer, self.model)
        self.rows = torch.randint(vocab_size, (4, model.context_length + 1))
        self.mixed = mixed

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of one step."""
        begin = time.process_time()
        with torch.autocast("cpu", torch.bfloat16) if self.mixed else nullcontext():
            loss = nll_sum(self.model(self.rows[:, :-1]), self.rows[:, 1:]) / self.rows.numel()
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return time.process_time() - begin


def main() -> None:
    """Print one line for each shape."""
    torch.set_num_threads(1)
    for name, setting in SHAPES.items():
        full, mixed = Steps(*setting, mixed=False), Steps(*setting, mixed=True)
        full.cpu_seconds(), mixed.cpu_seconds()
        pairs = [(mixed.cpu_seconds(), full.cpu_seconds()) for _ in range(ROUNDS)]
        ratios = [a / b for a, b in pairs]
        seconds = statistics.median(b for _, b in pairs)
        found = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{name}: {found}, fp32 {seconds:.2f} s a step, {full.model.num_parameters:,} parameters")


if __name__ == "__main__":
    main()
