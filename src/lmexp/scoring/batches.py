"""How much is read in one forward pass: a budget of tokens, not a number of sequences.

Short sequences gain by company, since a matrix is read once for all of them; long ones do not, and on a CPU
they lose, since what they compute no longer fits into its caches. So a batch takes as many as a budget of
tokens holds, padding included, and at least one.

Microseconds a token on one thread of an Intel Xeon with avx512_bf16 (5.5M parameters, 6 x 256, vocabulary of
4,096, fp32), by tokens in a batch:

    tokens each     256     512    1024    2048    4096    8192
             32     158     159     153     147
            128     178     173     160     157     176     183
            512             180     199     220     205     209
           1024                     222     257     225     245

1,024 is within 5 % of the best at 32 and 128 tokens each, and within 11 % at 512.
"""

from collections.abc import Callable, Iterator, Sequence

CPU_TOKENS = 1024
"""Tokens of a batch on a CPU."""

GPU_TOKENS = 2**16
"""Tokens of a batch elsewhere, where a pass should be large: 64 sequences of 1,024."""

Shape = tuple[int, ...]


def token_budget(device_type: str) -> int:
    """Return the tokens of a batch on a kind of device, padding included."""
    return CPU_TOKENS if device_type == "cpu" else GPU_TOKENS


def batches(shapes: Sequence[Shape], fits: Callable[[int, Shape], bool]) -> Iterator[list[int]]:
    """Yield the indices of `shapes` in batches, the largest first, each as long as it ``fits``.

    `fits` is given the number of members and the greatest of each of their sizes. One alone always fits.
    """
    batch: list[int] = []
    widest: Shape = ()
    for i in sorted(range(len(shapes)), key=lambda i: sum(shapes[i]), reverse=True):
        together = tuple(map(max, widest, shapes[i])) if batch else shapes[i]
        if batch and not fits(len(batch) + 1, together):
            yield batch
            batch, together = [], shapes[i]
        batch.append(i)
        widest = together
    if batch:
        yield batch
