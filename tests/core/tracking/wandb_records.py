"""What the loopback server of wandb's protocol has received: runs and versions of artifacts."""

import dataclasses
import json
from typing import Any


@dataclasses.dataclass
class ServerRun:
    """What the server knows of one run."""

    name: str
    project: str
    fields: dict[str, Any] = dataclasses.field(default_factory=dict)
    lines: dict[str, dict[int, str]] = dataclasses.field(default_factory=dict)
    files: dict[str, bytes] = dataclasses.field(default_factory=dict)
    exit_code: int | None = None
    uploads: int = 0
    """How often a client has begun to upload it."""
    changed_lines: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    """History lines that were replaced by different ones."""

    @property
    def history(self) -> list[dict[str, Any]]:
        """Its rows; an assertion fails where one is missing between others."""
        lines = self.lines.get("wandb-history.jsonl", {})
        assert sorted(lines) == list(range(len(lines))), "the history has a hole"
        return [json.loads(lines[number]) for number in sorted(lines)]

    @property
    def summary(self) -> dict[str, Any]:
        lines = self.lines.get("wandb-summary.json", {})
        return json.loads(lines[max(lines)]) if lines else {}

    @property
    def config(self) -> dict[str, Any]:
        config = json.loads(self.fields.get("config") or "{}")
        return {key: entry["value"] for key, entry in config.items()}


@dataclasses.dataclass
class ServerArtifact:
    """One version of an artifact."""

    id: str
    collection: str
    kind: str
    digest: str
    run: str | None
    metadata: dict[str, Any]
    aliases: set[str]
    files: dict[str, bytes] = dataclasses.field(default_factory=dict)
    committed: bool = False

    @property
    def manifest(self) -> dict[str, Any]:
        return json.loads(self.files["wandb_manifest.json"])["contents"]
