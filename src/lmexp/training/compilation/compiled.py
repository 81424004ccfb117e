"""The model's blocks compiled for training, and for nothing else.

`torch.compile` makes one callable of a block's ``forward``, which all blocks of a class share; their weights
are its inputs. Each block gets it as an attribute of its own ``forward``, so that no module is wrapped and no
name in the state dict changes. In evaluation mode a block runs eager: validation's batches have other shapes,
and its figure is that of the published model. When training ends the attribute goes.

Shapes do not vary (``dynamic=False``), and what would make a block run eager without a word, one compilation
too many, is an error instead. Compiling happens in this process and in compilers that die with it; see
`guard` and `cache`. Under DDP a graph is not cut at the buckets of gradients: blocks are
small enough for communication to begin between them.
"""

import contextlib
import shutil
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch import nn

from lmexp.errors import StageError
from lmexp.models.network import Network
from lmexp.training.callbacks import AfterStep
from lmexp.training.compilation.cache import CompileCache
from lmexp.training.compilation.guard import guarded_group
from lmexp.training.compilation.rule import choose, missing_compiler
from lmexp.training.config import PretrainConfig
from lmexp.training.flops import flops_per_token
from lmexp.training.module import PretrainModule


class Compiled(AfterStep):
    """Chooses whether to compile when training starts, and undoes it when training ends."""

    def __init__(
        self,
        config: PretrainConfig,
        *,
        resumes: bool,
        cache: Path,
        private: Path,
        say: Callable[[str], None],
        note: Callable[[str, str], None],
    ) -> None:
        """`resumes` says whether training goes on from a checkpoint.

        `cache` and `private` are those of `CompileCache`. `say` and `note` are told of the choice.
        """
        super().__init__(config)
        self.compiles = False
        """The choice; known once training has started."""
        # a checkpoint that knows of no choice is that of an eager training
        self._kept: bool | None = False if resumes else None
        self._cache, self._private = cache, private
        self._say, self._note = say, note
        self._open = contextlib.ExitStack()
        self._files: CompileCache | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Choose, and compile if so. Errors: `ConfigError` of `choose`."""
        assert isinstance(pl_module, PretrainModule)
        model, device = pl_module.model, pl_module.device.type
        choice = choose(
            self.config,
            device=device,
            flops_per_token=flops_per_token(model, self.config.resolved_sample_length),
            has_blocks=bool(model.blocks),
            missing=missing_compiler(device),
            kept=self._kept,
        )
        self.compiles = choice.compiles
        does = f"compiles {len(model.blocks)} blocks" if choice.compiles else "does not compile"
        self._say(f"{does}, since {choice.why}")
        self._note("compile", f"{'on' if choice.compiles else 'off'}, since {choice.why}")
        if choice.compiles:
            self._files = CompileCache(self.config, device=device, cache=self._cache, private=self._private)
            self._files.seed()
            self._open.enter_context(guarded_group())
            self._open.enter_context(self._files.used())
            self._open.enter_context(compiled_blocks(model))

    def after_step(self, trainer: pl.Trainer, module: PretrainModule, step: int) -> None:  # noqa: ARG002
        """After the first step everything is compiled: let others have it."""
        if self._files is not None:
            self._files.publish()
            self._files = None

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Make the model eager again."""
        self._open.close()

    def on_exception(
        self,
        trainer: pl.Trainer,  # noqa: ARG002
        pl_module: pl.LightningModule,  # noqa: ARG002
        exception: BaseException,  # noqa: ARG002
    ) -> None:
        """Make the model eager again."""
        self._open.close()

    def state_dict(self) -> dict[str, Any]:
        """Return the choice, to which a resumed run keeps."""
        return {"compiles": self.compiles}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep to the choice of the run that saved `state_dict`."""
        self._kept = state_dict["compiles"]


@contextlib.contextmanager
def compiled_blocks(model: Network) -> Iterator[None]:
    """Let the blocks of `model` run compiled while they are in training mode."""
    import torch._dynamo
    import torch._inductor.config as inductor

    kinds: dict[type, Any] = {type(block): type(block).forward for block in model.blocks}
    shared = {kind: torch.compile(forward, dynamic=False) for kind, forward in kinds.items()}
    with (
        torch._dynamo.config.patch(optimize_ddp=False, fail_on_recompile_limit_hit=True),
        # no processes that compile beside this one; inductor hashes the headers by calling openssl
        inductor.patch(compile_threads=1, cpp_cache_precompile_headers=shutil.which("openssl") is not None),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message="Dynamo detected a call to a `functools.lru_cache`")
        for block in model.blocks:
            block.forward = types.MethodType(_forward(shared[type(block)], kinds[type(block)]), block)
        try:
            yield
        finally:
            for block in model.blocks:
                del block.forward
            torch._dynamo.reset()  # else compiled code is kept for the process's life


def _forward(compiled: Callable[..., Any], eager: Callable[..., Any]) -> Callable[..., Any]:
    def forward(block: nn.Module, *args: Any) -> Any:
        return compiled(block, *args) if block.training else eager(block, *args)

    return forward


@contextlib.contextmanager
def told_of_compilers() -> Iterator[None]:
    """Turn what torch.compile raises into a `StageError` that names the way around."""
    from torch._dynamo.exc import TorchDynamoException

    try:
        yield
    except TorchDynamoException as error:
        cause = getattr(error, "inner_exception", error)
        reason = next((line for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
        raise StageError(
            f"torch.compile could not compile the model's blocks ({reason.strip()}); set trainer.compile=off "
            f"to train without it, and see the log for all that the compiler said."
        ) from error
