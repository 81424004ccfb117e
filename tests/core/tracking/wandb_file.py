"""Reads a ``.wandb`` file record by record, without wandb's own reader.

The file begins with seven bytes and is framed as a LevelDB log: blocks of 32 KiB that hold chunks of
(crc, length, kind), where kind 1 is a whole record and 2, 3, 4 are its first, middle and last part.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK = 32 * 1024


def read_records(path: Path) -> Iterator[Any]:
    """Yield each record as wandb's protobuf message."""
    from wandb.proto import wandb_internal_pb2

    data = path.read_bytes()
    assert data[:4] == b":W&B"
    position, parts = 7, b""
    while position + 7 <= len(data):
        if _BLOCK - position % _BLOCK < 7:
            position += _BLOCK - position % _BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + 7])
        if kind == 0:
            break
        parts += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            parts = b""
            yield record
