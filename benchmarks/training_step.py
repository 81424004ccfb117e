"""A training step against those of others, as ratios of CPU seconds.

Each pair of contenders trains in two processes of one thread, which take their steps by turns, so that a
noisy machine disturbs both alike; the median of nine ratios is printed with their range. lmexp's steps are
whole ones of `pretrain`: data, Lightning, learning rate, clipping, optimizer, callbacks. Compiling is over
before a step counts. The pairs, each with the bar that it is held to:

    compiled   lmexp compiled against lmexp eager (small_gpt's shape: 0.75)
    bare       lmexp compiled against a loop over the same compiled blocks and the same optimizer (1.02)
    litgpt     lmexp compiled against litgpt's own loop body and whole-model torch.compile (1.0), of the same
               architecture, AdamW; needs `pip install litgpt`, for this measurement alone
    trivial    lmexp eager with a network of 34 weights against a bare Lightning Trainer (1.1)

    python benchmarks/training_step.py --pairs compiled bare --shapes small_gpt
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

ROUNDS = 9
WARM_STEPS = 5
SHAPES: dict[str, dict[str, Any]] = {
    "small_gpt": {
        "model": {"num_layers": 4, "num_heads": 3, "num_kv_heads": 1, "d_model": 192, "d_ff": 512},
        "optimizer": {"name": "muon"},
        "vocab_size": 2048,
        "steps": 3,
    },
    "0.82M": {
        "model": {"num_layers": 12, "num_heads": 4, "d_model": 64, "d_ff": 256, "tie_embeddings": True},
        "vocab_size": 512,
        "steps": 4,
    },
    "10.8M": {
        "model": {"num_layers": 4, "num_heads": 4, "d_model": 256, "d_ff": 1024},
        "vocab_size": 12_800,
        "steps": 1,
    },
    "trivial": {
        "model": {
            "context_length": 2,
            "num_layers": 1,
            "num_heads": 1,
            "num_kv_heads": 1,
            "d_model": 2,
            "d_ff": 1,
        },
        "vocab_size": 2,
        "steps": 300,
    },
}
"""Model, optimizer, vocabulary, and the steps of a turn; 4 sequences of 256 tokens unless said."""

PAIRS = {
    "compiled": ("lmexp_compiled", "lmexp_eager"),
    "bare": ("lmexp_compiled", "bare_compiled"),
    "litgpt": ("lmexp_compiled", "litgpt"),
    "trivial": ("lmexp_eager", "lightning"),
}


def main() -> None:
    """Print a line for each pair and shape."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", nargs="+", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument("--shapes", nargs="+", default=["small_gpt", "0.82M", "10.8M"], choices=list(SHAPES))
    parser.add_argument("--precision", default="32-true", help="trainer.precision (32-true)")
    parser.add_argument("--cache", help="folder that keeps what was compiled (a temporary one)")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        serve(CONTENDERS[arguments.child](arguments.shapes[0], arguments.precision))
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(Path(arguments.cache or folder).absolute())
        compare(arguments)


def compare(arguments: argparse.Namespace) -> None:
    """Measure all pairs that are asked for."""
    for pair in arguments.pairs:
        for shape in ["trivial"] if pair == "trivial" else arguments.shapes:
            pairs = measure(PAIRS[pair], shape, arguments.precision)
            ratios = [a / b for a, b in pairs]
            ours, theirs = (statistics.median(column) * 1e3 for column in zip(*pairs, strict=True))
            print(
                f"{pair:9} {shape:10} {arguments.precision:10} {statistics.median(ratios):.3f} "
                f"({min(ratios):.3f} to {max(ratios):.3f})  {ours:.2f} and {theirs:.2f} CPU ms a step",
                flush=True,
            )


def measure(names: tuple[str, str], shape: str, precision: str) -> list[tuple[float, float]]:
    """Return the CPU seconds of a step of both, for each round."""
    steps = SHAPES[shape]["steps"]
    with tempfile.TemporaryDirectory() as folder:
        children = [start(name, shape, precision, Path(folder, name)) for name in names]
        try:
            for child in children:
                turn(child, WARM_STEPS)
            found = []
            for round_ in range(ROUNDS):
                order = (0, 1) if round_ % 2 == 0 else (1, 0)
                seconds = {i: turn(children[i], steps) / steps for i in order}
                found.append((seconds[0], seconds[1]))
            return found
        finally:
            for child in children:
                child.kill()
                child.wait()


def start(name: str, shape: str, precision: str, folder: Path) -> "subprocess.Popen[str]":
    """Start a contender, which works in `folder`."""
    folder.mkdir()
    command = [sys.executable, __file__, "--child", name, "--shapes", shape, "--precision", precision]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )


def turn(child: "subprocess.Popen[str]", steps: int) -> float:
    """Let a contender take some steps; return their CPU seconds."""
    print(steps, file=child.stdin, flush=True)
    for line in child.stdout or ():
        if line.startswith("{"):
            return float(json.loads(line)["cpu_seconds"])
    sys.exit("a contender ended; what it wrote stands above.")


def serve(steps: Iterator[None]) -> None:
    """Take as many steps as each line of the input asks for, and print what they took."""
    for line in sys.stdin:
        begin = time.process_time()
        for _ in range(int(line)):
            next(steps)
        print(json.dumps({"cpu_seconds": time.process_time() - begin}), flush=True)


def lmexp(shape: str, precision: str, *, compiled: bool) -> Iterator[None]:
    """Train with `pretrain` in a thread of its own, which goes on by a step whenever one is asked for."""
    import threading

    asked, taken = threading.Semaphore(0), threading.Semaphore(0)

    def wait() -> bool:
        taken.release()
        asked.acquire()
        return False

    def train() -> None:
        from lmexp.packing.samples import StreamSamples
        from lmexp.training.pretrain import pretrain

        config = configuration(shape, precision, compiled=compiled)
        asked.acquire()
        pretrain(
            config,
            samples=StreamSamples(Tokens(SHAPES[shape]["vocab_size"]), config.model.context_length),
            vocab_size=SHAPES[shape]["vocab_size"],
            eos_token_id=0,
            checkpoints=Path("work", "checkpoints").absolute(),
            cache=Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]),
            log=lambda _: None,
            should_stop=wait,
        )

    threading.Thread(target=train, daemon=True).start()
    while True:
        asked.release()
        taken.acquire()
        yield


def bare_compiled(shape: str, precision: str) -> Iterator[None]:
    """Train in a plain loop over the same blocks, compiled, with the same optimizer and clipping."""
    import torch

    from lmexp.models.build import build_model
    from lmexp.training.compilation.compiled import compiled_blocks
    from lmexp.training.objectives.cross_entropy import nll_sum
    from lmexp.training.optimization.optimizers import build_optimizer

    config = configuration(shape, precision, compiled=True)
    model = build_model(config.model, SHAPES[shape]["vocab_size"], 0).train()
    optimizer = build_optimizer(config.optimizer, model)
    with compiled_blocks(model):
        for rows in batches(shape, config):
            with torch.autocast("cpu", torch.bfloat16) if precision == "bf16-mixed" else nullcontext():
                loss = nll_sum(model(rows[:, :-1]), rows[:, 1:]) / rows[:, 1:].numel()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            yield


def litgpt(shape: str, precision: str) -> Iterator[None]:
    """Train as `litgpt pretrain` does: Fabric, the whole model compiled, chunked loss, AdamW."""
    import lightning
    import torch
    from litgpt.config import Config
    from litgpt.model import GPT
    from litgpt.utils import chunked_cross_entropy, instantiate_torch_optimizer

    config, vocab_size = configuration(shape, precision, compiled=True), SHAPES[shape]["vocab_size"]
    fabric = lightning.Fabric(accelerator="cpu", devices=1, precision=precision)
    given = config.model
    model = GPT(
        Config(
            block_size=given.context_length,
            n_layer=given.num_layers,
            n_head=given.num_heads,
            n_query_groups=given.num_kv_heads,
            n_embd=given.d_model,
            head_size=given.resolved_head_dim,
            intermediate_size=given.resolved_d_ff,
            vocab_size=vocab_size,
            padded_vocab_size=vocab_size,
            rotary_percentage=1.0,
            parallel_residual=False,
            bias=False,
            norm_class_name="RMSNorm",
            norm_qk=True,
            mlp_class_name="LLaMAMLP",
        )
    )
    if given.tie_embeddings:
        model.transformer.wte.weight = model.lm_head.weight
    model = fabric.setup(torch.compile(model))
    optimizer = fabric.setup_optimizers(instantiate_torch_optimizer("AdamW", model.parameters(), fused=False))
    for rows in batches(shape, config):
        loss = chunked_cross_entropy(model(rows[:, :-1].contiguous()), rows[:, 1:].contiguous())
        fabric.backward(loss)
        fabric.clip_gradients(model, optimizer, max_norm=1.0)
        optimizer.step()
        optimizer.zero_grad()
        yield


def lightning_alone(shape: str, precision: str) -> Iterator[None]:
    """Train with Lightning's Trainer and nothing around it that it can do without."""
    import queue
    import threading

    import pytorch_lightning as pl
    import torch
    from torch.nn import functional

    from lmexp.models.build import build_model

    config = configuration(shape, precision, compiled=False)
    asked: queue.SimpleQueue[None] = queue.SimpleQueue()
    taken: queue.SimpleQueue[None] = queue.SimpleQueue()

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = build_model(config.model, SHAPES[shape]["vocab_size"], 0)

        def training_step(self, rows: torch.Tensor, _: int) -> torch.Tensor:
            return functional.cross_entropy(self.model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.model.parameters(), fused=True)

        def on_train_batch_end(self, *_: Any) -> None:
            taken.put(None)
            asked.get()

    def train() -> None:
        trainer = pl.Trainer(
            accelerator="cpu",
            max_steps=config.trainer.max_steps,
            max_epochs=-1,
            gradient_clip_val=1.0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        asked.get()
        trainer.fit(Module(), batches(shape, config))

    threading.Thread(target=train, daemon=True).start()
    while True:
        asked.put(None)
        taken.get()
        yield


class Tokens:
    """Random tokens without end, as `StreamSamples` reads them."""

    num_tokens = 1_000_001

    def __init__(self, vocab_size: int) -> None:
        import numpy as np

        self._ids = np.random.default_rng(0).integers(0, vocab_size, 100_003)

    def read(self, start: int, length: int) -> Any:
        """Return `length` tokens from `start` on."""
        return self._ids[start % 99_000 : start % 99_000 + length]


def batches(shape: str, config: Any) -> Iterator[Any]:
    """Yield batches of random tokens, [B, T + 1]."""
    import torch

    generator = torch.Generator().manual_seed(0)
    size = (config.global_batch_size, config.model.context_length + 1)
    for _ in itertools.count():
        yield torch.randint(SHAPES[shape]["vocab_size"], size, generator=generator)


def configuration(shape: str, precision: str, *, compiled: bool) -> Any:
    """Return the training's configuration; it never ends."""
    from lmexp.core.values.config import build
    from lmexp.training.config import PretrainConfig

    given = SHAPES[shape]
    trainer = {
        "max_steps": 1_000_000,
        "precision": precision,
        "accelerator": "cpu",
        "compile": "on" if compiled else "off",
    }
    return build(
        PretrainConfig,
        {
            "model": {"context_length": 256, "tie_embeddings": False, **given["model"]},
            "optimizer": given.get("optimizer", {}),
            "trainer": trainer,
            "global_batch_size": 4,
            "checkpoint_every_steps": 1_000_000,
        },
    )


CONTENDERS: dict[str, Callable[[str, str], Iterator[None]]] = {
    "lmexp_compiled": lambda shape, precision: lmexp(shape, precision, compiled=True),
    "lmexp_eager": lambda shape, precision: lmexp(shape, precision, compiled=False),
    "bare_compiled": bare_compiled,
    "litgpt": litgpt,
    "lightning": lightning_alone,
}

if __name__ == "__main__":
    main()
