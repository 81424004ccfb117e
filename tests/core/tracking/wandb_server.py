"""A wandb server on loopback, for as much of the protocol as wandb's client speaks when it uploads a run.

GraphQL answers by the operation's name; files arrive by PUT at the addresses that it gives out; rows
of history, summaries and the end of a run arrive by POST at ``.../file_stream``, as lines with an
offset: a line that is sent again under its offset replaces itself, as on the real server. What was
received is kept by run (`ServerRun`) and by artifact collection (`ServerArtifact`).

Faults are switched on by `fail`: from a chosen request on, the server stalls, refuses or breaks off.
"""

import base64
import gzip
import hashlib
import json
import re
import socket
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .wandb_records import ServerArtifact, ServerRun

KEY = "0123456789abcdef0123456789abcdef01234567"
ENTITY = "tester"


class WandbServer:
    """The server; start it with `with`."""

    def __init__(self, key: str = KEY) -> None:
        self.runs: dict[str, ServerRun] = {}
        self.artifacts: list[ServerArtifact] = []
        self.views: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.unknown: list[str] = []
        self.uses: list[tuple[str, str, str]] = []
        """(run, collection, fingerprint) of each artifact that a run said it used."""
        self.errors: list[str] = []
        self._key = key
        self._lock = threading.RLock()
        self._faults: dict[str, list[Any]] = {}
        self._stopping = threading.Event()
        self._http = _Listener(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> "WandbServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._http.shutdown()
        self._http.server_close()

    def fail(self, what: str, how: str, *, after: int = 0, times: int | None = None) -> None:
        """Let requests whose name contains `what` fail once `after` of them were answered, `times` times.

        `how`: stall (never answer), refuse (403), error (500) or hang-up (close without an answer).
        """
        with self._lock:
            self._faults[what] = [how, after, times]

    def mend(self) -> None:
        """Answer everything again."""
        with self._lock:
            self._faults.clear()

    def counted(self, what: str) -> int:
        """Return how many requests had `what` in their names."""
        with self._lock:
            return sum(what in name for name in self.requests)

    def versions(self, collection: str) -> list[ServerArtifact]:
        """Return the committed versions of an artifact collection, oldest first."""
        with self._lock:
            return [a for a in self.artifacts if a.collection == collection and a.committed]

    def seed(self, collection: str, kind: str) -> None:
        """Let there be an artifact already."""
        self.artifacts.append(ServerArtifact("seed", collection, kind, "", None, {}, set(), committed=True))

    def fault(self, name: str) -> str:
        with self._lock:
            self.requests.append(name)
            for what, fault in self._faults.items():
                how, after, times = fault
                if what not in name or times == 0:
                    continue
                if after > 0:
                    fault[1] = after - 1
                    continue
                fault[2] = None if times is None else times - 1
                return how
        return ""

    def stall(self) -> None:
        self._stopping.wait(60)

    def authorized(self, header: str) -> bool:
        return header == "Basic " + base64.b64encode(f"api:{self._key}".encode()).decode()

    def answer(self, operation: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Return the data of a GraphQL answer."""
        snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).lower()
        method = getattr(self, f"_on_{snake}", None)
        with self._lock:
            if method is None:
                self.unknown.append(operation)
                return {}
            return method(variables)

    def put(self, path: str, data: bytes) -> None:
        """Keep an uploaded file under the address that was given out for it."""
        owner, kind, name = path.removeprefix("/storage/").split("/", 2)
        with self._lock:
            if kind == "run":
                self.runs[owner].files[name] = data
            else:
                self._artifact(owner).files[name] = data

    def stream(self, name: str, body: dict[str, Any]) -> None:
        """Take lines, and the end of the run."""
        with self._lock:
            run = self.runs[name]
            for file, chunk in body.get("files", {}).items():
                lines = run.lines.setdefault(file, {})
                for number, line in enumerate(chunk["content"], chunk["offset"]):
                    if file == "wandb-history.jsonl" and lines.get(number, line) != line:
                        run.changed_lines.append((lines[number], line))
                    lines[number] = line
            if body.get("complete"):
                run.exit_code = body["exitcode"]

    def _artifact(self, identity: str) -> ServerArtifact:
        return next(a for a in self.artifacts if a.id == identity)

    def _on_viewer(self, _variables: dict[str, Any]) -> dict[str, Any]:
        teams = {"edges": [{"node": {"name": ENTITY}}]}
        viewer = {"id": "viewer", "entity": ENTITY, "username": ENTITY, "email": "tester@localhost"}
        return {"viewer": {**viewer, "flags": "{}", "teams": teams}}

    def _on_server_features_query(self, _variables: dict[str, Any]) -> dict[str, Any]:
        return {"serverInfo": {"features": []}}

    def _on_run_resume_status(self, variables: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(variables["name"])
        bucket = None
        if run is not None:
            history = run.lines.get("wandb-history.jsonl", {})
            bucket = {
                **_bucket(run),
                "summaryMetrics": json.dumps(run.summary),
                "historyLineCount": len(history),
                "eventsLineCount": 0,
                "logLineCount": 0,
                "historyTail": json.dumps([history[max(history)]] if history else []),
                "eventsTail": "[]",
                "tags": run.fields.get("tags") or [],
                "notes": None,
                "wandbConfig": '{"t": 1}',
            }
        entity = {"id": "entity", "name": ENTITY}
        return {"model": {"id": "project", "name": variables["project"], "entity": entity, "bucket": bucket}}

    def _on_upsert_bucket(self, variables: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(variables["name"])
        inserted = run is None
        if run is None:
            run = self.runs[variables["name"]] = ServerRun(variables["name"], variables["project"])
        given = {key: value for key, value in variables.items() if value is not None}
        if "groupName" in given or "displayName" in given:
            run.uploads += 1
            run.exit_code = None
        run.fields |= given
        return {"upsertBucket": {"bucket": _bucket(run), "inserted": inserted}}

    def _on_create_run_files(self, variables: dict[str, Any]) -> dict[str, Any]:
        files = [
            {"name": name, "uploadUrl": f"{self.url}/storage/{variables['run']}/run/{name}"}
            for name in variables["files"]
        ]
        return {"createRunFiles": {"runID": "run", "uploadHeaders": [], "files": files}}

    def _on_create_artifact(self, variables: dict[str, Any]) -> dict[str, Any]:
        given = variables["input"]
        name, digest = given["artifactCollectionName"], given["digest"]
        same = [a for a in self.artifacts if (a.collection, a.digest) == (name, digest)]
        before = self.versions(name)
        aliases = {entry["alias"] for entry in given.get("aliases") or []}
        if same:
            artifact = same[-1]
            artifact.aliases |= aliases
        else:
            artifact = ServerArtifact(
                id=hashlib.sha256(f"{name} {digest}".encode()).hexdigest()[:16],
                collection=name,
                kind=given["artifactTypeName"],
                digest=digest,
                run=given.get("runName"),
                metadata=json.loads(given.get("metadata") or "{}"),
                aliases=aliases,
            )
            self.artifacts.append(artifact)
        latest = {"latestArtifact": {"id": before[-1].id} if before else None}
        state = "COMMITTED" if artifact.committed else "PENDING"
        return {
            "createArtifact": {"artifact": {"id": artifact.id, "state": state, "artifactSequence": latest}}
        }

    def _on_create_artifact_manifest(self, variables: dict[str, Any]) -> dict[str, Any]:
        identity = variables["artifactID"]
        url = f"{self.url}/storage/{identity}/artifact/{variables['name']}"
        file = {"id": "file", "uploadUrl": url, "uploadHeaders": []}
        return {"createArtifactManifest": {"artifactManifest": {"id": identity, "file": file}}}

    def _on_create_artifact_files(self, variables: dict[str, Any]) -> dict[str, Any]:
        edges = []
        given = variables.get("input") or variables
        for spec in given["artifactFiles"]:
            node = {
                "storagePath": spec["name"],
                "uploadUrl": f"{self.url}/storage/{spec['artifactID']}/artifact/{spec['name']}",
                "uploadHeaders": [],
                "uploadMultipartUrls": None,
                "artifact": {"id": spec["artifactID"]},
            }
            edges.append({"node": node})
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def _on_commit_artifact(self, variables: dict[str, Any]) -> dict[str, Any]:
        artifact = self._artifact(variables["artifactID"])
        artifact.committed = True
        return {"commitArtifact": {"artifact": {"id": artifact.id, "digest": artifact.digest}}}

    def _on_use_artifact(self, variables: dict[str, Any]) -> dict[str, Any]:
        given = variables.get("input") or variables
        artifact = self._artifact(given["artifactID"])
        self.uses.append((given["runName"], artifact.collection, artifact.metadata["fingerprint"]))
        return {"useArtifact": {"artifact": {"id": artifact.id, "digest": artifact.digest}}}

    def _on_organization_core_weave_organization_id(self, _variables: dict[str, Any]) -> dict[str, Any]:
        return {"entity": None}

    def _on_get_default_entity(self, _variables: dict[str, Any]) -> dict[str, Any]:
        return {"viewer": {"id": "viewer", "entity": ENTITY}}

    def _on_run(self, variables: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(variables["name"])
        if run is None:
            return {"project": {"run": None}}
        state = "running" if run.exit_code is None else "failed" if run.exit_code else "finished"
        more = {
            "projectId": "1",
            "state": state,
            "summaryMetrics": json.dumps(run.summary),
            "systemMetrics": "{}",
            "historyKeys": None,
            "user": {"name": ENTITY, "username": ENTITY},
        }
        return {"project": {"run": {**_bucket(run), **more}}}

    def _on_artifact_type(self, variables: dict[str, Any]) -> dict[str, Any]:
        known = self.versions(variables["name"].partition(":")[0])
        artifact = {"artifactType": {"name": known[-1].kind}} if known else None
        return {"project": {"artifact": artifact}}

    def _on_artifact_by_id(self, variables: dict[str, Any]) -> dict[str, Any]:
        artifact = self._artifact(variables["id"])
        project = {"id": "project", "internalId": "1", "name": "project", "entity": {"name": ENTITY}}
        sequence = {"__typename": "ArtifactSequence", "id": "sequence", "name": artifact.collection}
        data = {
            "__typename": "Artifact",
            "id": artifact.id,
            "artifactSequence": {**sequence, "project": project},
            "versionIndex": self.versions(artifact.collection).index(artifact),
            "artifactType": {"name": artifact.kind},
            "description": None,
            "metadata": json.dumps(artifact.metadata),
            "ttlDurationSeconds": -1,
            "ttlIsInherited": True,
            "tags": [],
            "historyStep": None,
            "state": "COMMITTED",
            "size": 0,
            "digest": artifact.digest,
            "commitHash": None,
            "fileCount": 1,
            "createdAt": "2026-01-01T00:00:00Z",
            "updatedAt": None,
            "aliases": [],
        }
        return {"artifact": data}

    def _on_upsert_view2(self, variables: dict[str, Any]) -> dict[str, Any]:
        identity = variables.get("id") or f"view-{len(self.views) + 1}"
        self.views[identity] = variables
        view = {"id": identity, "name": variables["name"]}
        return {"upsertView": {"view": view, "inserted": "id" not in variables}}

    def _on_run_stopped_status(self, _variables: dict[str, Any]) -> dict[str, Any]:
        return {"project": {"run": {"stopped": False}}}


def _bucket(run: ServerRun) -> dict[str, Any]:
    return {
        "id": f"id-{run.name}",
        "name": run.name,
        "displayName": run.fields.get("displayName") or run.name,
        "description": None,
        "config": run.fields.get("config"),
        "sweepName": None,
        "project": {"id": "project", "name": run.project, "entity": {"id": "entity", "name": ENTITY}},
        "historyLineCount": len(run.lines.get("wandb-history.jsonl", {})),
    }


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    owner: WandbServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError):  # those are clients that were killed
            self.owner.errors.append("".join(traceback.format_exception(error)))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def log_message(self, *_arguments: Any) -> None: ...

    def do_GET(self) -> None:
        self._send(404, {"error": "nothing is here"})

    def do_PUT(self) -> None:
        body = self._body()
        if self._passes(f"PUT {self.path}"):
            self.server.owner.put(self.path, body)
            self._send(200, {})

    def do_POST(self) -> None:
        owner = self.server.owner
        data = self._body()
        if not self.path.startswith(("/graphql", "/files/")):
            self._send(404, {"error": "nothing is here"})
            return
        body = json.loads(data)
        if self.path == "/graphql":
            named = re.search(r"\b(?:query|mutation)\s+(\w+)", body["query"])
            operation = body.get("operationName") or (named.group(1) if named else "")
            name = f"graphql {operation}"
        else:
            name = f"POST {self.path}"
        if not self._passes(name):
            return
        if not owner.authorized(self.headers.get("Authorization", "")):
            self._send(401, {"errors": [{"message": "the key is not known"}]})
        elif self.path == "/graphql":
            self._send(200, {"data": owner.answer(operation, body.get("variables") or {})})
        else:
            _, _, _, _, run, _ = self.path.split("/")
            owner.stream(run, body)
            self._send(200, {})

    def _passes(self, name: str) -> bool:
        """Whether the request is to be answered; where not, do what was switched on."""
        how = self.server.owner.fault(name)
        if how == "stall":
            self.server.owner.stall()
        if how in ("stall", "hang-up"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif how:
            self._send(403 if how == "refuse" else 500, {"errors": [{"message": "told to fail"}]})
        return not how

    def _body(self) -> bytes:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data

    def _send(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
