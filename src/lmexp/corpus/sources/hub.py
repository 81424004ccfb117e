"""Datasets of the Hugging Face hub as a source, read by the `datasets` library.

What a name stands for may change, a commit may not: when a corpus is first planned, the configured
revision is resolved to its commit by one small request, remembered in the store's cache (`hub_cache`),
and the commit is what enters the fingerprint. A revision that is a commit already needs no request. To
look at a moving branch again, delete the entry or name another revision.

A split is either streamed, which needs the hub each time, or downloaded and prepared once, after which
its Arrow files are read as they are, without the hub and without the library. No code of a dataset
is ever run. ``HF_ENDPOINT``, ``HF_TOKEN`` and ``HF_HUB_OFFLINE`` mean what they mean to the library.
"""

import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lmexp.core.store.disk import is_disk_full
from lmexp.core.values.files import FileHasher, parse_json
from lmexp.core.values.fingerprint import SHORT, digest
from lmexp.corpus.config import HubSource
from lmexp.corpus.documents import Document, SourceContext
from lmexp.corpus.formats.columns import text_column
from lmexp.corpus.formats.rows import BadRows
from lmexp.corpus.sources.hub_cache import HubCache
from lmexp.errors import DataError

_TIMEOUT_S = 20.0
_BATCH_ROWS = 256
_COMMIT = re.compile(r"[0-9a-f]{40}")


def content(source: HubSource, hasher: FileHasher) -> dict[str, str]:
    """Return the commit, by the dataset's name.

    Errors: `DataError` where the commit is not known and the hub does not tell it.
    """
    return {source.name: _commit(source, hasher.cache)}


def documents(source: HubSource, context: SourceContext) -> Iterator[Document]:
    """Yield the documents of the split in order; their ids are ``split:row``, from 0, in a list
    ``split:row:element``.

    With `document_start`, the id is that of a document's first row.
    Errors: `DataError` where the dataset cannot be loaded or a row holds no text.
    """
    commit = context.content.get(source.name) or _commit(source, context.cache)
    place = f"{source.name} at {commit[:12]}, {source.split}"
    tables = (_streamed if source.streaming else _prepared)(source, commit, context.cache)
    rows = _texts(tables, source, place, context.bad)
    metadata = {"source": source.name}
    for row, text in _joined(rows, source.document_start) if source.document_start else rows:
        yield Document(text, f"{source.split}:{row}", metadata)


def _joined(rows: Iterator[tuple[str, str]], start: str) -> Iterator[tuple[str, str]]:
    """Join rows into documents, each of which begins where `start` matches."""
    begins = re.compile(start)
    first, lines = "", list[str]()
    for row, text in rows:
        if begins.match(text) and lines:
            yield first, "".join(lines)
            lines.clear()
        if not lines:
            first = row
        lines.append(text if text.endswith("\n") else f"{text}\n")
    if lines:
        yield first, "".join(lines)


def _texts(tables: Iterable[Any], source: HubSource, place: str, bad: BadRows) -> Iterator[tuple[str, str]]:
    first = 0
    for table in tables:
        wanted = text_column(source.column, table.schema, place)
        for array in table.column(wanted.root).chunks:
            for row, suffix, text in wanted.texts(array, first, place, bad):
                yield f"{row}{suffix}", text
            first += len(array)


def _streamed(source: HubSource, commit: str, cache: Path) -> Iterator[Any]:
    """Yield Arrow tables as they arrive."""
    try:
        yield from _load(source, commit, cache).with_format("arrow").iter(batch_size=_BATCH_ROWS)
    except DataError:
        raise
    except Exception as error:
        raise _not_loaded(source, commit, error) from error


def _prepared(source: HubSource, commit: str, cache: Path) -> Iterator[Any]:
    """Yield Arrow tables of the files that `datasets` prepared, now or earlier."""
    import pyarrow as pa

    kept = HubCache(cache)
    about = {"dataset": source.name, "subset": source.subset, "split": source.split, "commit": commit}
    files = kept.prepared(about)
    if files is None:
        kept.discard_damaged_downloads(source.name)
        try:
            dataset = _load(source, commit, cache)
        except DataError:
            raise
        except Exception as error:
            raise _not_loaded(source, commit, error) from error
        files = [Path(entry["filename"]) for entry in dataset.cache_files]
        kept.keep_prepared(about, files)
    for path in files:
        with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                yield pa.Table.from_batches([batch])


def _load(source: HubSource, commit: str, cache: Path) -> Any:
    home = cache / "hub"
    token = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface")) / "token"
    os.environ.setdefault("HF_TOKEN_PATH", str(token))  # where it was before HF_HOME moves
    os.environ["HF_HOME"] = str(home)
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import datasets

    datasets.disable_progress_bars()
    # without a hub `datasets` takes whatever commit and subset of that name it has prepared: here, only these
    own = home / "datasets" / digest([commit, source.subset])[:SHORT]
    builder = datasets.load_dataset_builder(source.name, source.subset, revision=commit, cache_dir=str(own))
    if source.streaming:
        return builder.as_streaming_dataset(split=source.split)
    _require_room(builder, source)
    # of what was prepared earlier, only our own note is believed
    builder.download_and_prepare(download_mode="reuse_cache_if_exists")
    return builder.as_dataset(split=source.split)


def _require_room(builder: Any, source: HubSource) -> None:
    """Raise `DataError` where the files of a dataset, of all of its splits, are larger than they may be."""
    from huggingface_hub import HfFileSystem

    files = HfFileSystem()
    urls = [url for split in (builder.config.data_files or {}).values() for url in split]
    size = sum(files.info(url)["size"] or 0 for url in urls)
    if size > source.max_bytes:
        raise DataError(
            f"The files of {source.name} have {size:,} bytes, more than the {source.max_bytes:,} that they "
            f"may have; read its beginning with streaming=true and a limit, or raise max_bytes of its source."
        )


def _not_loaded(source: HubSource, commit: str, error: Exception) -> Exception:
    if any(is_disk_full(e) for e in (error, error.__cause__, error.__context__) if e is not None):
        return error
    cause = error.__cause__ or error
    reason = " ".join(str(cause).split())[:300].rstrip(".") or type(cause).__name__
    subset = f", subset {source.subset}" if source.subset else ""
    where = f"{source.name} at {commit[:12]}{subset}, split {source.split}"
    return DataError(f"The dataset {where}, cannot be loaded: {reason}.")


def _commit(source: HubSource, cache: Path | None) -> str:
    if _COMMIT.fullmatch(source.revision):
        return source.revision
    kept = HubCache(cache) if cache is not None else None
    known = kept.commit(source.name, source.revision) if kept is not None else None
    if known is not None:
        return known
    commit = _ask(source)
    if kept is not None:
        kept.keep_commit(source.name, source.revision, commit)
    return commit


def _ask(source: HubSource) -> str:
    """Return the commit that the hub names for the source's revision."""
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    what = f"The revision {source.revision!r} of the dataset {source.name} cannot be resolved"
    remedy = "give a commit's 40 digits as `revision` to plan without the hub"
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise DataError(f"{what}: HF_HUB_OFFLINE is set; unset it once, or {remedy}.")
    url = f"{endpoint}/api/datasets/{source.name}/revision/{urllib.parse.quote(source.revision, safe='')}"
    request = urllib.request.Request(url, headers={"User-Agent": "lmexp"})  # noqa: S310 - the user's hub
    token = _token()
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
            commit = str(parse_json(response.read())["sha"])
    except urllib.error.HTTPError as error:
        with error:
            if error.headers.get("X-Error-Code") == "RevisionNotFound":
                raise DataError(f"{what}: {endpoint} has no such revision of it.") from None
            if error.code in (401, 403, 404):
                raise DataError(
                    f"{what}: {endpoint} has no such dataset, or shows it only with a token (HF_TOKEN)."
                ) from None
            raise DataError(f"{what}: {endpoint} answered {error.code} {error.msg}; {remedy}.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "reason", error)
        raise DataError(f"{what}: {endpoint} cannot be asked ({reason}); {remedy}.") from None
    if not _COMMIT.fullmatch(commit):
        raise DataError(f"{what}: {endpoint} answered with {commit!r}, which is no commit.")
    return commit


def _token() -> str:
    if os.environ.get("HF_TOKEN"):
        return os.environ["HF_TOKEN"].strip()
    home = os.environ.get("HF_HOME", str(Path.home() / ".cache" / "huggingface"))
    path = Path(os.environ.get("HF_TOKEN_PATH", os.path.join(home, "token")))
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
