"""The arithmetic of training: operations a token, and the share of a device's peak that they reach.

A token's forward and backward pass takes 6 N + 12 W T floating-point operations (Chowdhery et al., arXiv
2204.02311, appendix B): N weights that multiply, each with two operations forward and four backward, and
attention, whose queries meet T keys and mix T values over W = layers x heads x head width.

N leaves out what is only looked up, the embeddings of tokens and positions, and counts the head, tied or
not. As in the paper attention counts all T times, though a causal one needs about half of them, and what is
computed twice counts once.

MFU, the model's utilisation of its devices, is tokens a second x operations a token over the sum of the
devices' peaks. A peak is known of the GPUs in PEAKS alone: a CPU's depends on its clock and its units.
"""

import re

import torch

from lmexp.models.network import Network

PEAKS: tuple[tuple[str, float, float], ...] = (
    ("A100", 312e12, 19.5e12),
    ("H100 PCIe", 756e12, 51e12),
    ("H100", 989.5e12, 67e12),
    ("H200", 989.5e12, 67e12),
    ("L40S", 362e12, 91.6e12),
    ("L4", 121e12, 30.3e12),
)
"""Words in a GPU's name, dense bf16 and fp32 (no TF32) operations a second, from NVIDIA's data sheets; the
first that fits counts."""


def flops_per_token(model: Network, sample_length: int) -> float:
    """Return the operations of one training token, forward and backward; T is `sample_length`."""
    roles, parameters = model.roles(), dict(model.named_parameters())
    looked_up = [parameters[name] for name, role in roles.items() if role.kind == "embedding"]
    weights = model.num_parameters - sum(parameter.numel() for parameter in looked_up)
    if all(role.kind != "head" for role in roles.values()):  # then the tokens' embedding is the head as well
        weights += next(p.numel() for p in looked_up if len(p) == model.vocab_size)
    return 6.0 * weights + 12.0 * model.config.attention_width * sample_length


def peak_of(device: torch.device, precision: str) -> float | None:
    """Return `peak_flops` of a device, None for a CPU."""
    return peak_flops(torch.cuda.get_device_name(device), precision) if device.type == "cuda" else None


def peak_flops(device_name: str, precision: str) -> float | None:
    """Return the dense operations a second of a GPU by its name and `trainer.precision`; None if unknown."""
    for words, bf16, fp32 in PEAKS:
        if re.search(rf"\b{words}\b", device_name):
            return {"bf16-mixed": bf16, "32-true": fp32}.get(precision)
    return None


def utilisation(
    *, tokens_per_second: float, flops_per_token: float, peak: float | None, world_size: int
) -> float | None:
    """Return MFU, between 0 and 1, of `world_size` equal devices; None where their peak is not known."""
    return None if peak is None else tokens_per_second * flops_per_token / (peak * world_size)
