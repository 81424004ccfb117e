"""Stages run by hand in the test's own process, without an engine."""

from pathlib import Path
from typing import Any

from lmexp.core.graph.stage import Artifact, Stage, StageRun
from lmexp.core.values.config import Config
from lmexp.core.values.files import FileHasher


class Stages:
    """Runs stages one after the other under one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metrics: dict[str, float] = {}
        """The metrics of the last stage."""
        self.curve: list[dict[str, Any]] = []
        """The points that the last stage logged."""

    def __call__(self, stage: Stage, config: Config, **inputs: Artifact) -> Any:
        """Run `stage` and return its artifact."""
        folder = self.folder / f"{len(list(self.folder.iterdir()))}-{stage.name}"
        out, work, cache = folder / "out", folder / "work", self.folder / "cache"
        for path in (out, work / "checkpoints", cache):
            path.mkdir(parents=True, exist_ok=True)
        self.curve = []
        run = StageRun(
            out=out,
            work=work,
            cache=cache,
            log=lambda point: self.curve.append(dict(point)),
            should_stop=lambda: False,
            content=stage.content(config, FileHasher()) if stage.content else {},
        )
        self.metrics = dict(stage.function(run, config, **inputs))
        return stage.produces(out)
