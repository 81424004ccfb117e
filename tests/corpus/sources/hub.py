"""A hub on the loopback interface: as much of its protocol as `datasets` needs for Parquet files."""

import hashlib
import io
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

README = """---
configs:
- config_name: {subset}
  default: true
  data_files:
  - split: train
    path: data/train-*
  - split: validation
    path: data/validation-*
- config_name: other
  data_files:
  - split: train
    path: other/train-*
---
"""


def parquet(**columns) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, row_group_size=50)
    return file.getvalue()


def dataset(shards, *, subset="default", column="text") -> dict[str, bytes]:
    """The files of a dataset whose training split has the given texts, a list a shard; its subset `other`
    has one text, named after the first."""
    files = {
        f"data/train-{i:05d}-of-{len(shards):05d}.parquet": parquet(**{column: texts, "n": range(len(texts))})
        for i, texts in enumerate(shards)
    }
    rest = {
        "data/validation-00000-of-00001.parquet": parquet(**{column: ["held out"], "n": [0]}),
        "other/train-00000-of-00001.parquet": parquet(**{column: [f"other than {shards[0][0]}"], "n": [0]}),
    }
    return {"README.md": README.format(subset=subset).encode(), **files, **rest}


def git_hash(data: bytes) -> str:
    """The name that git, and so the hub, gives a small file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


class Hub:
    """Serves `repositories`: name to commit to path to bytes; the last commit is `main`."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, dict[str, bytes]]] = {}
        self.requests: list[str] = []
        self.tokens: set[str] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def commit(self, name: str, revision: str) -> str | None:
        commits = self.repositories[name]
        return list(commits)[-1] if revision == "main" else revision if revision in commits else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        self.hub.tokens.add(self.headers.get("Authorization", ""))
        api = re.fullmatch(r"/api/datasets/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+)(?:/(.*))?)?", path)
        file = re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.*)", path)
        name = (api or file or [None, None])[1]
        if name not in self.hub.repositories:
            self.answer(401, b"{}", {"X-Error-Code": "RepoNotFound"})
            return
        commit = self.hub.commit(name, (api[3] or "main") if api else file[2])
        if commit is None:
            self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            return
        files = self.hub.repositories[name][commit]
        if file:
            self.resolve(files.get(file[3]), commit)
        elif api[2] == "tree":
            self.tree(files, (api[4] or "").rstrip("/"))
        else:
            self.info(name, commit, files)

    do_HEAD = do_GET  # noqa: N815

    def info(self, name, commit, files):
        facts = {"id": name, "_id": "1", "sha": commit, "private": False, "disabled": False, "gated": False}
        times = dict.fromkeys(("lastModified", "createdAt"), "2024-01-01T00:00:00.000Z")
        siblings = [{"rfilename": path} for path in files]
        self.answer(200, json.dumps({**facts, **times, "tags": [], "siblings": siblings}).encode(), {})

    def tree(self, files, folder):
        recursive = parse_qs(urlsplit(self.path).query).get("recursive", ["false"])[0].lower() == "true"
        found = {}
        for path, data in files.items():
            inner = path.removeprefix(f"{folder}/") if folder else path
            if folder and inner == path:
                continue
            if "/" in inner and not recursive:
                parent = path[: len(path) - len(inner)] + inner.partition("/")[0]
                found[parent] = {"type": "directory", "path": parent, "oid": "0" * 40, "size": 0}
            else:
                oid = git_hash(data)
                found[path] = {"type": "file", "path": path, "oid": oid, "size": len(data)}
        if found:
            self.answer(200, json.dumps(list(found.values())).encode(), {})
        else:
            self.answer(404, b"{}", {"X-Error-Code": "EntryNotFound"})

    def resolve(self, data, commit):
        if data is None:
            self.answer(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
            return
        etag = git_hash(data)
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        wanted = self.headers.get("Range")
        if wanted:
            first, last = wanted.removeprefix("bytes=").split("-")
            start, end = int(first), min(int(last or len(data) - 1), len(data) - 1)
            headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
            self.answer(206, data[start : end + 1], headers)
        else:
            self.answer(200, data, headers)

    def answer(self, status, body, headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
