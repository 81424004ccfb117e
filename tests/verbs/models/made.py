"""A small model of every family that gives a next token a probability, with a tokenizer beside it."""

from pathlib import Path

import numpy as np
import torch

from lmexp import load_tokenizer
from lmexp.core.values.config import build
from lmexp.models.build import build_model, count_model
from lmexp.models.families import MODELS, NETWORKS
from lmexp.models.folder import save_counts, save_network
from tests.tokenizer.families import TEXTS, written

FAMILIES = [kind for kind, config in MODELS.kinds.items() if "next_token" in config().can]


def made(folder: Path, kind: str, tokenizer: str = "gpt2", padding: int = 0, **config: object) -> Path:
    """Write a model with drawn weights or counts of `TEXTS`, with `padding` ids beyond its tokenizer's."""
    encoder = load_tokenizer(written(folder, tokenizer))
    size = encoder.vocab_size + padding
    shape = build(MODELS.kinds[kind], config)
    if kind in NETWORKS.kinds:
        network = build_model(shape, size)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.normal_(std=0.1, generator=generator)
        save_network(network, folder, eos_token_id=encoder.eos_token_id)
    else:
        bos = encoder.bos_token_id
        documents = [np.array([bos, *encoder.encode(text)]) for text in TEXTS]
        save_counts(count_model(shape, documents, vocab_size=size, bos_token_id=bos), folder)
    return folder


def log_softmax(model, ids, bos):
    """Return ln p of all tokens after each beginning of ``[bos, *ids]``, ``[len(ids) + 1, V]``."""
    read = [bos, *ids]
    if isinstance(model, torch.nn.Module):
        with torch.no_grad():
            return model(torch.tensor([read]))[0].double().log_softmax(-1).numpy()
    rows = []
    for end in range(1, len(read) + 1):
        scores = model.score([(read[:end], [token]) for token in range(model.vocab_size)], bos)
        rows.append(np.concatenate(scores))
    return np.array(rows)
