"""Files and archives from the web as a source; what they are is fixed by their sha256.

They are downloaded into the store's cache when the corpus is built, never to plan it. Archives are
read in place.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from lmexp.core.values.files import FileHasher
from lmexp.corpus.config import FORMATS, HttpSource
from lmexp.corpus.documents import Document, SourceContext
from lmexp.corpus.formats.formats import known_format, read_texts
from lmexp.corpus.formats.streams import Budget, decompressed, split_suffix
from lmexp.corpus.sources.archives import is_archive, members
from lmexp.corpus.sources.download import download
from lmexp.corpus.sources.local import unique_names
from lmexp.errors import DataError


def content(source: HttpSource, _hasher: FileHasher) -> dict[str, str]:
    """Return the configured sha256 of each file, by ``"<position>:<url>"``."""
    return {f"{i}:{url}": sha256 for i, (url, sha256) in enumerate(_files(source))}


def documents(source: HttpSource, context: SourceContext) -> Iterator[Document]:
    """Yield the documents of the files in order.

    Ids begin with the last part of the URL, and in an archive with a slash and the member's name
    after it; how they go on is as for local files.
    Errors: `DataError` for what cannot be downloaded, is not what its sha256 says, or cannot be read.
    """
    folder = context.cache / "downloads"
    names = unique_names([_name(url) for url, _ in _files(source)])
    left = source.max_bytes
    for (url, sha256), name in zip(_files(source), names, strict=True):
        origin = " (from the cache, by its sha256)" if (folder / sha256).exists() else ""
        path = download(
            url, sha256, folder, max_bytes=left, retries=source.retries, timeout_s=source.timeout_s
        )
        left = max(0, left - path.stat().st_size)  # what is in the cache already may be larger
        metadata, budget = {"source": url}, Budget(source.max_unpacked_bytes)
        for inner, place, stream in _opened(path, url, origin, source, budget):
            known = known_format(inner or _name(url), place, source.format, context.bad)
            if known is None:
                continue
            chosen, compression = known
            with _seekable(stream, chosen, folder) as file:
                texts = read_texts(
                    decompressed(file, compression, place=place, budget=budget) if compression else file,
                    chosen,
                    place=place,
                    column=source.column,
                    units=context.units,
                    bad=context.bad,
                )
                for suffix, text in texts:
                    yield Document(text, f"{name}{inner and '/'}{inner}{suffix}", metadata)


def _files(source: HttpSource) -> list[tuple[str, str]]:
    return list(zip(source.urls, source.sha256, strict=True))


def _name(url: str) -> str:
    return unquote(PurePosixPath(urlsplit(url).path).name) or urlsplit(url).netloc


def _opened(
    path: Path, url: str, origin: str, source: HttpSource, budget: Budget
) -> Iterator[tuple[str, str, BinaryIO]]:
    """Yield (member's name or '', how messages call it, stream) of each file in a download.

    `origin` follows its name in messages.
    """
    if not is_archive(_name(url)):
        if source.members:
            raise DataError(f"{url} is no archive by its name; `members` is for archives.")
        with path.open("rb") as file:
            yield "", f"{url}{origin}", file
        return
    any_known = source.members or source.format
    found = False
    place = f"{_name(url)}{origin}"
    for member, stream in members(path, _name(url), source.members, budget=budget, place=place):
        if any_known or _is_known(member):
            found = True
            yield member, f"{url}{origin}, member {member}", stream
    if not found:
        wanted = f"that matches {', '.join(source.members)}" if source.members else "of a known format"
        raise DataError(
            f"{url}{origin} holds no member {wanted}; `members` of its source chooses some by name."
        )


def _is_known(member: str) -> bool:
    return split_suffix(member)[0].removeprefix(".") in FORMATS


def _seekable(stream: BinaryIO, chosen: str, folder: Path) -> BinaryIO:
    """Return the stream itself, or a nameless copy on disk where the format needs to seek."""
    if chosen != "parquet" or stream.seekable():
        return stream
    copy = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - the caller closes it
    shutil.copyfileobj(stream, copy)
    copy.seek(0)
    return copy
