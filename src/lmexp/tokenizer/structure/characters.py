"""Unicode characters, and pieces that are merged from them: BPE that knows nothing of bytes.

The parts are `BPE` and the decoder `Fuse`, by which tokens are joined with nothing between them. A character
without a token becomes the unknown token, each by itself, and is lost; all else comes back.
"""

from collections.abc import Mapping
from typing import Any

from lmexp.tokenizer.structure.byte_level import SPLITS
from lmexp.tokenizer.structure.parts import Structure, leaves, refuse, start_token
from lmexp.tokenizer.structure.words import check_unknown, contents_by_name


def characters(definition: Mapping[str, Any], where: str) -> Structure:
    """Return what the tokens stand for. Errors: `DataError` for parts of which that does not follow."""
    model = definition["model"]
    for field in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback"):
        if model.get(field):
            refuse(
                where, f"model.{field}", model[field],
                "tokens would not be pieces of the text, always the same", f"set model.{field} to null",
            )  # fmt: skip
    for part in leaves(definition["pre_tokenizer"], "pretokenizers"):
        if part.get("type") not in SPLITS or part.get("behavior") == "Removed":
            refuse(
                where, "pre_tokenizer.type", f"{part.get('type')} {part.get('behavior') or ''}".strip(),
                "it can change or lose text", f"only {', '.join(SPLITS)} are taken, and none that removes",
            )  # fmt: skip
    decoders = [part.get("type") for part in leaves(definition["decoder"], "decoders")]
    if decoders != ["Fuse"]:
        refuse(where, "decoder", decoders, "it does not give the pieces back", "only Fuse is taken")
    unknown = model.get("unk_token") or ""
    if len(unknown) == 1 or unknown in {"".join(pair) for pair in model["merges"]}:
        refuse(where, "model.unk_token", unknown, "ordinary text becomes it, too", "name it otherwise")
    check_unknown(definition, where)
    return Structure(
        contents=contents_by_name(definition),
        joiner=b"",
        is_lossless=False,
        start_token_id=start_token(definition, where),
    )
