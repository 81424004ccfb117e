"""Files of OpenAI's tiktoken: byte-level BPE as a list of tokens.

Each line holds a token's bytes in base64 and its rank, which is its id. Two neighbours merge where what they
give is a token, the lowest rank first. The library wants the merges themselves: a token is the merge of the
two parts into which tokens of lower rank write it. What splits a text into words is not in the file; it is
known by the file's name, and is what tiktoken 0.14 has.

Special tokens are not in the file either: ``<|endoftext|>`` gets the first id that is free. In `gpt2`,
`r50k_base` and `p50k_base` that is its usual one; in the others it is another, so that a model trained
elsewhere does not fit.
"""

import base64
import binascii
from pathlib import Path

from tokenizers import Regex, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as Backend

from lmexp.errors import DataError, nearest
from lmexp.tokenizer.library import LibraryTokenizer
from lmexp.tokenizer.roles import END_OF_TEXT
from lmexp.tokenizer.structure import byte_characters

SUFFIX = ".tiktoken"

_ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s+\z|\s*[\r\n]|\s+(?!\S)|\s"
)
_O200K = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_ENDINGS}?|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_ENDINGS}?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PATTERNS: dict[str, str | None] = {
    "gpt2": None,
    "r50k_base": None,
    "p50k_base": None,
    "cl100k_base": _CL100K,
    "o200k_base": _O200K,
}
"""What splits a text, by the name of the file; None is GPT-2's pattern, which `ByteLevel` has."""


def read_tiktoken(path: Path) -> LibraryTokenizer:
    """Return the tokenizer of a file.

    Errors: `DataError` for a file of another name, a line that is none, and tokens that no merge makes.
    """
    name = path.name.removesuffix(SUFFIX)
    if name not in PATTERNS:
        raise DataError(
            f"{path} is called {name!r}, and a file of tiktoken says by its name alone what splits a text; "
            f"call it one of {', '.join(PATTERNS)}{nearest(name, PATTERNS)}."
        )
    ranks = _ranks(path)
    merges = [_parts(path, token, ranks) for token in sorted(ranks, key=ranks.__getitem__) if len(token) > 1]
    characters = byte_characters()

    def written(token: bytes) -> str:
        return "".join(characters[byte] for byte in token)

    taken = set(ranks.values())
    vocab = {written(token): rank for token, rank in ranks.items()}
    vocab[END_OF_TEXT] = next(i for i in range(len(taken) + 1) if i not in taken)
    backend = Backend(models.BPE(vocab, [(written(a), written(b)) for a, b in merges]))
    pattern = PATTERNS[name]
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    if pattern is not None:
        split = pre_tokenizers.Split(Regex(pattern), "isolated")
        backend.pre_tokenizer = pre_tokenizers.Sequence([split, backend.pre_tokenizer])
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([END_OF_TEXT])
    return LibraryTokenizer(backend, where=str(path))


def _ranks(path: Path) -> dict[bytes, int]:
    """Return the rank of each token."""
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            token, rank = line.split()
            content, value = base64.b64decode(token, validate=True), int(rank)
        except (ValueError, binascii.Error):
            raise DataError(
                f"{path}: line {number} is no token in base64 and its rank, {line[:40]!r}; download it again."
            ) from None
        if not content or ranks.setdefault(content, value) != value:
            raise DataError(f"{path}: line {number} holds {content[:40]!r}, empty or for the second time.")
    return ranks


def _parts(path: Path, token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """Return the two parts of lower rank that are merged last."""
    parts = [bytes([byte]) for byte in token]
    limit = ranks[token]
    while len(parts) > 2:
        pairs = [(ranks.get(parts[i] + parts[i + 1], limit), i) for i in range(len(parts) - 1)]
        rank, i = min(pairs)
        if rank >= limit:
            break
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    if len(parts) != 2 or any(ranks.get(part, limit) >= limit for part in parts):
        raise DataError(
            f"{path}: the token {token[:40]!r} of rank {limit} is no merge of two tokens of lower rank; "
            f"the file is damaged or of another kind."
        )
    return parts[0], parts[1]
