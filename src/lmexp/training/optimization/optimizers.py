"""AdamW, Muon with AdamW, or gradient descent, as one torch optimizer over named groups of parameters.

Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon) replaces the momentum of a
hidden matrix by the nearest matrix with orthonormal rows or columns, found by `newton_schulz`;
embeddings, the head and vectors stay with AdamW (arXiv 1711.05101). Both live in one optimizer because
Lightning steps exactly one by itself.

Plain gradient descent is torch's own and has no state. Its weight decay, which torch adds to the gradient, is
then the same as a decoupled one.

Every group carries `peak_lr`, from which the training loop sets `lr` at each step, and `kind`. One of kind
`muon` also carries `ns_dtype`, in which it multiplies: chosen where the optimizer is built, and kept in
checkpoints.
All state is tensors, so a checkpoint loads with ``weights_only=True``.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from lmexp.models.network import Network
from lmexp.training.optimization.config import OptimizerConfig
from lmexp.training.optimization.newton_schulz import (
    BEFORE_IT_WAS_CHOSEN,
    fast_dtype,
    instructions_of_cpu,
    orthogonalize,
)


class MuonAdamW(torch.optim.Optimizer):
    """Groups of kind `muon` hold matrices only; groups of kind `adamw` hold anything.

    Weight decay is decoupled in both: a step multiplies the weights by 1 - lr * weight_decay.
    """

    def __init__(self, groups: Iterable[dict[str, Any]]) -> None:
        super().__init__(groups, {})

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over groups that were saved, those of checkpoints without `ns_dtype` too."""
        super().__setstate__(state)
        for group in self.param_groups:
            if group["kind"] == "muon":
                group.setdefault("ns_dtype", BEFORE_IT_WAS_CHOSEN)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; return what `closure` returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        together: dict[tuple[float, ...], list[Tensor]] = {}
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters and group["kind"] == "muon":
                self._step_muon(group, parameters)
            elif parameters:
                settings = (group["lr"], group["weight_decay"], group["eps"], *group["betas"])
                together.setdefault(settings, []).extend(parameters)
        for settings, parameters in together.items():  # one call of the kernel for all groups that agree
            self._step_adamw(parameters, *settings)
        return loss

    def _step_muon(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        by_shape: dict[torch.Size, list[Tensor]] = {}
        for parameter in parameters:
            by_shape.setdefault(parameter.shape, []).append(parameter)
        for (rows, columns), same in by_shape.items():
            for parameter in same:
                if not self.state[parameter]:
                    self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
            gradients = _gradients(same)
            momenta = [self.state[p]["momentum_buffer"] for p in same]
            torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
            nesterov = torch.stack(torch._foreach_lerp(gradients, momenta, group["momentum"]))
            updates = orthogonalize(nesterov, group["ns_dtype"], group["ns_steps"])
            torch._foreach_mul_(same, 1 - group["lr"] * group["weight_decay"])
            scale = max(1.0, rows / columns) ** 0.5
            torch._foreach_add_(same, list(updates.unbind()), alpha=-group["lr"] * scale)

    def _step_adamw(
        self, parameters: list[Tensor], lr: float, weight_decay: float, eps: float, *betas: float
    ) -> None:
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter] = {
                    "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }
        states = [self.state[p] for p in parameters]
        adamw(
            parameters,
            _gradients(parameters),
            [s["exp_avg"] for s in states],
            [s["exp_avg_sq"] for s in states],
            [],
            [s["step"] for s in states],
            fused=True,
            amsgrad=False,
            beta1=betas[0],
            beta2=betas[1],
            lr=lr,
            weight_decay=weight_decay,
            eps=eps,
            maximize=False,
        )


def _gradients(parameters: list[Tensor]) -> list[Tensor]:
    return [p.grad for p in parameters if p.grad is not None]


def build_optimizer(config: OptimizerConfig, model: Network) -> torch.optim.Optimizer:
    """Return the optimizer of `model`, its parameters sorted into groups.

    Hidden matrices are decayed (and, with `muon`, orthogonalised); an untied head is decayed;
    embeddings, a tied head, norms and biases are not decayed.
    """
    groups: dict[str, list[nn.Parameter]] = {"hidden": [], "head": [], "embedding": [], "vector": []}
    roles = model.roles()
    for name, parameter in model.named_parameters():
        groups[roles[name].kind].append(parameter)
    if config.name == "sgd":
        rates = {"embedding": config.embedding_lr or config.lr}
        return torch.optim.SGD(
            {
                "params": parameters,
                "kind": "sgd",
                "lr": (lr := rates.get(name, config.lr)),
                "peak_lr": lr,
                "weight_decay": config.weight_decay if name in ("hidden", "head") else 0.0,
            }
            for name, parameters in groups.items()
            if parameters
        )
    # `fused` also tells torch to keep the step counter on the device when it loads a checkpoint.
    shared = {"kind": "adamw", "fused": True, "betas": tuple(config.betas), "eps": config.eps}
    decayed = shared | {"lr": config.lr, "weight_decay": config.weight_decay}
    hidden = decayed
    if config.name == "muon" and groups["hidden"]:
        hidden = {
            "kind": "muon",
            "lr": config.muon_lr,
            "momentum": config.muon_momentum,
            "ns_steps": config.muon_ns_steps,
            "ns_dtype": fast_dtype(groups["hidden"][0].device.type, instructions_of_cpu()),
            "weight_decay": config.weight_decay,
        }
    plain = decayed | {"weight_decay": 0.0}
    embedding = plain | {"lr": config.embedding_lr or config.lr}
    settings = {"hidden": hidden, "head": decayed, "embedding": embedding, "vector": plain}
    return MuonAdamW(
        {"params": groups[name], "peak_lr": setting["lr"], **setting}
        for name, setting in settings.items()
        if groups[name]
    )
