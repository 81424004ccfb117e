"""What can be known of a corpus of local files before it is built: that its rows hold text, and hints.

The beginning of the first files of each source is read, and nothing is counted. It costs an import of
Arrow where there is Parquet, and is done only where the corpus is about to be computed.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lmexp.corpus.config import CorpusConfig, LocalSource
from lmexp.corpus.documents import SourceContext, TextUnits
from lmexp.corpus.formats.formats import split_name
from lmexp.corpus.formats.rows import BadRows
from lmexp.corpus.formats.streams import decompressed
from lmexp.corpus.formats.text_files import HINT_BYTES, looks_like_a_list
from lmexp.corpus.patterns import shown
from lmexp.corpus.sources.local import file_texts, is_known, local_files
from lmexp.corpus.sources.sources import all_sources, files_key

_MAX_FILES = 64
_TEXT = ("txt", "md")
_WHOLE = ("json",)
"""Formats that are read whole even for their first row."""


def check_rows(config: CorpusConfig) -> None:
    """Read the first row of each of the first files. Errors: `DataError` as the build would raise it."""
    for _key, source, path, chosen in _files(config):
        if chosen not in (*_TEXT, *_WHOLE):
            dropped: Counter[str] = Counter()
            context = SourceContext(
                units=TextUnits(),
                cache=Path(),
                content={},
                dropped=dropped,
                bad=BadRows(dropped, drop=config.on_bad_row == "drop"),
                deduplicate=config.deduplicate,
            )
            next(file_texts(path, source, context), None)


def hints(config: CorpusConfig) -> list[str]:
    """Return a sentence for each source in which a text file is a list of short lines, but read whole."""
    if config.document != "file":
        return []
    found: dict[str, list[Path]] = {}
    for key, source, path, chosen in _files(config):
        if chosen in _TEXT and looks_like_a_list(_head(path, source)):
            found.setdefault(key, []).append(path)
    return [
        f"{key}: {shown(paths[0].name)}{f' and {len(paths) - 1} others' * (len(paths) > 1)} "
        f"{'are' if len(paths) > 1 else 'is'} short lines without blank ones and read as running text; where "
        f"each line is a document of its own (a name, a sentence), say corpus.document=line."
        for key, paths in found.items()
    ]


def _files(config: CorpusConfig) -> Iterator[tuple[str, LocalSource, Path, str]]:
    """Yield (key, source, path, format) of the first files of each local source."""
    for name, source in all_sources(config).items():
        if isinstance(source, LocalSource):
            known = (
                path for path in local_files(source) if is_known(path, source, BadRows(Counter(), drop=True))
            )
            for path in itertools.islice(known, _MAX_FILES):
                yield files_key(name, config), source, path, split_name(path.name, "", source.format)[0]


def _head(path: Path, source: LocalSource) -> bytes:
    compression = split_name(path.name, "", source.format)[1]
    with path.open("rb") as file:
        return decompressed(file, compression, place=shown(path)).read(HINT_BYTES)
