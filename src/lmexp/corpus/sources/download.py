"""Downloads whose content is known beforehand by its sha256: resumed, retried, never half-visible.

    <folder>/<sha256>              the whole file, its checksum verified
    <folder>/<sha256>.part         what has arrived so far
    <folder>/<sha256>.part.json    the ETag or date by which the server knows that version

A broken download goes on where it broke (RFC 9110: Range with If-Range). Whatever a server answers to
that, the checksum decides in the end: a file put together from several answers that does not have it
is fetched once more in one piece. A file appears under its own name by a rename, after its bytes are
on the device. Processes that want the same file take turns by a lock on the part.

Retried are refused and broken connections, time-outs and the statuses that call themselves temporary,
each time after twice the wait; an attempt that got further than any before starts the count anew.
"""

import contextlib
import fcntl
import os
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import Any, BinaryIO

from lmexp.core.values.files import fsync_path, read_json, sha256_file, write_json
from lmexp.errors import DataError

_BLOCK_BYTES = 2**18
_TEMPORARY = frozenset((408, 425, 429, 500, 502, 503, 504))
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_MAX_REDIRECTS = 10
_LONGEST_WAIT_S = 60.0


def download(
    url: str,
    sha256: str,
    folder: Path,
    *,
    max_bytes: int = 2**36,
    retries: int = 5,
    timeout_s: float = 30.0,
    wait_s: float = 1.0,
) -> Path:
    """Return the file with this sha256 in `folder`, fetched from `url` where it is not there yet.

    `max_bytes` is the most that a server may send of it, `retries` how often in a row an attempt may get
    no further, `timeout_s` how long the server may be silent, `wait_s` the first wait between attempts.
    Errors: `DataError`, one sentence, where the server or the content is not as it should be; what
    has arrived is kept for the next call. `OSError` for a full disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / sha256
    with _exclusive_part(folder / f"{sha256}.part") as file:
        if final.exists():
            if sha256_file(final) == sha256:
                Path(f"{final}.part").unlink()
                return final
            final.unlink()
        _Download(url, sha256, file, Path(f"{final}.part"), max_bytes=max_bytes, timeout_s=timeout_s).run(
            retries, wait_s
        )
        os.fsync(file.fileno())
        Path(f"{final}.part").rename(final)
        for left in (*folder.glob(f".{sha256}.*.tmp"), Path(f"{final}.part.json")):
            left.unlink(
                missing_ok=True
            )  # a kill leaves temporary files, which are ours while we hold the part
        fsync_path(folder)
    return final


class _NotYet(Exception):
    """An attempt failed in a way that another one may not."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class _Download:
    def __init__(
        self, url: str, sha256: str, file: BinaryIO, part: Path, *, max_bytes: int, timeout_s: float
    ) -> None:
        self._url, self._sha256, self._file, self._part = url, sha256, file, part
        self._max_bytes, self._timeout_s = max_bytes, timeout_s
        self._memory = Path(f"{part}.json")
        self._pieced = self._size() > 0
        """Whether the part was put together from several answers."""
        self._in_one_piece = False
        """Whether that did not do, so that one answer has to bring it all."""

    def run(self, retries: int, wait_s: float) -> None:
        failures, furthest = 0, self._size()
        while True:
            try:
                self._attempt()
                if self._is_right():
                    return
            except _NotYet as reason:
                failures = 0 if self._size() > furthest else failures + 1
                furthest = max(furthest, self._size())
                if failures > retries:
                    size = self._size()
                    kept = f"; {size:,} bytes are kept, and the same command goes on" if size else ""
                    raise DataError(
                        f"{self._url} cannot be downloaded: {reason} "
                        f"({failures} attempt{'s' * (failures != 1)} without progress{kept})."
                    ) from None
                time.sleep(min(_LONGEST_WAIT_S, max(reason.wait_s, wait_s * 2 ** max(0, failures - 1))))

    def _is_right(self) -> bool:
        """Whether the complete part has the checksum; where it may yet, prepare to fetch it again."""
        found = sha256_file(self._part)
        if found == self._sha256:
            return True
        pieced = self._pieced
        self._start_again()
        if pieced:  # perhaps of different versions
            return False
        raise DataError(
            f"{self._url} has the sha256 {found}, but {self._sha256} was expected: either the file there is "
            f"another one by now, or the configured sha256 is wrong."
        )

    def _attempt(self) -> None:
        """Bring the part to its end. Errors: `_NotYet` where that needs another attempt."""
        if self._in_one_piece:
            self._file.truncate(0)
        offset = self._size()
        validator = self._validator() if offset else None
        headers = {"User-Agent": "lmexp", "Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if validator:
                headers["If-Range"] = validator
        try:
            response = self._open(headers)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 416 and offset:  # the part is complete, or longer than the file
                    if sha256_file(self._part) != self._sha256:
                        self._start_again()
                        raise _NotYet("the server has less of the file than had arrived") from None
                    return
                raise self._refusal(error) from None
        with response:
            if response.status == 206:
                if not offset or not _continues(response.headers, offset, validator):
                    self._start_again()
                    raise _NotYet("the server answered with another range than it was asked for")
                self._pieced = True
            elif response.status == 200:
                offset, self._pieced = 0, False
                self._file.truncate(0)
                write_json(self._memory, {"url": self._url, "validator": _validator_of(response.headers)})
            else:
                raise DataError(f"{self._url} cannot be downloaded: the server answered {response.status}.")
            self._receive(response, offset)

    def _receive(self, response: Any, offset: int) -> None:
        length = response.headers.get("Content-Length", "")
        self._require_room(offset + (int(length) if length.isdigit() else 0))
        self._file.seek(offset)
        received = 0
        while data := self._from_network(lambda: response.read1(_BLOCK_BYTES)):
            received += len(data)
            self._require_room(offset + received)
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
        if length.isdigit() and received < int(length):
            raise _NotYet(f"the connection ended after {received:,} of {int(length):,} bytes")

    def _require_room(self, size: int) -> None:
        """Raise `DataError`, and keep nothing, where the file is larger than it may be."""
        if size > self._max_bytes:
            self._file.truncate(0)
            raise DataError(
                f"{self._url} is larger than the {self._max_bytes:,} bytes that it may have; if that is "
                f"expected, raise max_bytes of its source, which holds for all of its urls together."
            )

    def _open(self, headers: dict[str, str]) -> Any:
        request = urllib.request.Request(self._url, headers=headers)  # noqa: S310 - http(s), by the config
        opener = urllib.request.build_opener(_Redirects)
        return self._from_network(lambda: opener.open(request, timeout=self._timeout_s))

    def _from_network(self, call: Any) -> Any:
        try:
            return call()
        except urllib.error.HTTPError:
            raise
        except (OSError, HTTPException) as error:
            cause = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(cause, ssl.SSLCertVerificationError):
                reason = f"its certificate is not valid ({cause.verify_message})"
                raise DataError(f"{self._url} cannot be downloaded: {reason}.") from None
            raise _NotYet(self._in_words(cause)) from None

    def _in_words(self, cause: object) -> str:
        if isinstance(cause, TimeoutError):
            return f"the server was silent for {self._timeout_s:g} s"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
        if isinstance(cause, socket.gaierror):
            return f"its host is not known ({cause.strerror})"
        return f"the connection broke ({str(cause) or type(cause).__name__})"

    def _refusal(self, error: urllib.error.HTTPError) -> Exception:
        if error.code in _REDIRECTS:
            circle = "infinite" in str(error.msg)
            how = "in a circle" if circle else f"to where it cannot be followed ({error.msg})"
            return DataError(f"{self._url} cannot be downloaded: it redirects {how}.")
        answer = f"the server answered {error.code} {error.msg}".rstrip()
        if error.code in _TEMPORARY:
            wait = error.headers.get("Retry-After", "")
            return _NotYet(answer, float(wait) if wait.isdigit() else 0.0)
        return DataError(f"{self._url} cannot be downloaded: {answer}.")

    def _start_again(self) -> None:
        self._in_one_piece, self._pieced = True, False
        self._file.truncate(0)

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _validator(self) -> str | None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            memory = read_json(self._memory)
            if memory.get("url") == self._url:
                return str(memory["validator"]) if memory.get("validator") else None
        return None


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_repeats = 1
    max_redirections = _MAX_REDIRECTS

    def redirect_request(  # noqa: PLR0917 - the signature is urllib's
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        if not newurl.startswith(("http://", "https://")):
            raise urllib.error.HTTPError(req.full_url, code, newurl, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextlib.contextmanager
def _exclusive_part(path: Path) -> Iterator[BinaryIO]:
    """Open the part for this process alone, waiting for others.

    Whoever held the lock may have renamed the file that was opened here: then it is opened again.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        with open(descriptor, "r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    yield file
                    return


def _continues(headers: HTTPMessage, offset: int, validator: str | None) -> bool:
    """Whether a partial answer is the rest of the file from `offset` on, of the same version."""
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", headers.get("Content-Range", "").strip())
    if found is None or int(found[1]) != offset:
        return False
    if found[3] != "*" and int(found[2]) != int(found[3]) - 1:
        return False
    etag = headers.get("ETag")
    return not (validator and validator.startswith('"') and etag is not None and etag != validator)


def _validator_of(headers: HTTPMessage) -> str | None:
    """Return what If-Range may name: a strong ETag, else the date of the last change."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified")
