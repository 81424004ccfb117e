"""Text of known entropy as a source: documents of lines drawn from one of the processes of `lmexp.known`.

A document is `num_lines` lines, each ended by a newline and drawn independently of the others; since
every document has as many lines, its end tells nothing. What the entropy counts is the text as it is:
letters and newlines, one byte each. The end-of-text token between documents is no part of it.

Documents are draws from the process only as long as nothing is left out. So few lines or so little
entropy that a document is drawn twice, which deduplication would remove, is therefore an error; without
deduplication all copies stay.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from itertools import islice
from typing import Any

from lmexp.core.values.config import build
from lmexp.core.values.files import FileHasher
from lmexp.corpus.config import KnownSource
from lmexp.corpus.dedup import SeenHashes
from lmexp.corpus.documents import Document, SourceContext, text_hash
from lmexp.errors import DataError


def content(_source: KnownSource, _hasher: FileHasher) -> dict[str, str]:
    """Return nothing: the configuration says it all."""
    return {}


def documents(source: KnownSource, context: SourceContext) -> Iterator[Document]:
    """Yield `num_documents` documents; their ids are their numbers, from 0.

    Errors: `DataError` where a document is drawn twice and deduplication would remove it.
    """
    from lmexp.known.build import draw_texts

    seen = SeenHashes()
    for i, text in enumerate(islice(draw_texts(source, source.num_lines), source.num_documents)):
        if context.deduplicate and not seen.add(text_hash(text)):
            raise DataError(
                f"The `known` source drew a document twice after {i} documents, and removing copies would "
                f"change its entropy; raise num_lines (now {source.num_lines}) or line_length (now "
                f"{source.line_length}), or lower sharpness (now {source.sharpness:g})."
            )
        yield Document(text, str(i), {"source": KnownSource.KIND})


def facts(source: KnownSource) -> dict[str, float]:
    """Return ``entropy_bits_per_byte``, the exact entropy of the text over its expected bytes."""
    from lmexp.known.build import build_process
    from lmexp.known.process import entropy_bits_per_byte

    return {"entropy_bits_per_byte": entropy_bits_per_byte(build_process(source))}


def only_known_source(card: Mapping[str, Any]) -> KnownSource | None:
    """Return the `known` source of a corpus by its card.

    None where there is another source, or several, or where documents were dropped: what is left of a
    filter is no longer as likely as it was.
    """
    entries = list(card["sources"].values())
    if len(entries) != 1 or entries[0]["kind"] != KnownSource.KIND or card["dropped"]:
        return None
    names = {field.name for field in fields(KnownSource)}
    return build(KnownSource, {name: value for name, value in entries[0].items() if name in names})
