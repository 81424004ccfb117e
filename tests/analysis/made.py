"""A store of hand-made records: what a page must cope with, without running anything."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmexp.core.records.runs import Run
from lmexp.core.store.store import Store
from lmexp.core.values.files import sha256_file
from lmexp.core.values.fingerprint import digest
from lmexp.core.values.sealed import sealed

CURVES = {"curve": "metrics.jsonl", "samples": "samples.jsonl"}
ENVIRONMENT = {
    "python": "3.11.7",
    "processor": "a processor",
    "platform": "Linux",
    "host": "node-17",
    "packages": {"torch": "2.13"},
    "git": {"commit": "a" * 40, "diff_sha256": None},
}


class Made:
    """Writes runs and sweeps as the engine would."""

    def __init__(self, root: Path) -> None:
        self.store = Store(root)
        self.store.prepare()

    def run(
        self,
        name: str = "made-1",
        *,
        metrics: Mapping[str, float] | None = None,
        stages: Mapping[str, Mapping[str, Any] | None] | None = None,
        status: str = "done",
        traceback: str = "",
        **more: Any,
    ) -> Run:
        """Write a run; a stage is its extras (curve, samples, rows, record, gone, fingerprint), or None if
        it did not end."""
        stages = stages if stages is not None else {"perplexity": {}}
        data = {
            "run": name,
            "experiment": "made",
            "group": "made",
            "status": status,
            "started": "2026-01-02T03:04:05.000+00:00",
            "finished": "2026-01-02T03:05:15.000+00:00",
            "argv": ["/x/run.py", "+experiment=made"],
            "command": ["python", "-m", "lmexp.run", "+experiment=made"],
            "process": {"host": "node-17", "pid": 1, "boot": "b", "started": "s"},
            "config": {"seed": 0},
            "changes": {},
            "planned": {n: fingerprint(name, n, s or {}) for n, s in stages.items()},
            "stages": {n: self._stage(name, n, dict(s)) for n, s in stages.items() if s is not None},
            "current": None,
            "metrics": dict(metrics or {}),
            **more,
        }
        path = self.store.runs / name
        self._write(path / "run.json", _sealed(data))
        line = {
            "started": data["started"],
            "outcome": status,
            "host": "node-17",
            "stages": {},
            "message": data.get("message", ""),
            "traceback": traceback,
        }
        (path / "invocations.jsonl").write_text(json.dumps(sealed(line)) + "\n")
        return Run(path, data)

    def curve(self, file: str, points: Sequence[Mapping[str, Any]]) -> None:
        """Write a curve below the store."""
        path = self.store.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(point) + "\n" for point in points))

    def sweep(self, name: str, points: Sequence[tuple[str, Sequence[str]]], num_points: int) -> None:
        """Write a sweep of runs that are there, as (run, overrides)."""
        path = self.store.root / "sweeps" / name
        command = ["python", "-m", "lmexp.run", "-m", "seed=1,2"]
        self._write(path / "sweep.json", {"command": command, "num_points": num_points})
        (path / "points").mkdir(exist_ok=True)
        for i, (run, overrides) in enumerate(points):
            self._write(
                path / "points" / f"{run}.json", {"run": run, "index": i, "overrides": list(overrides)}
            )

    def _stage(self, run: str, name: str, extras: dict[str, Any]) -> dict[str, Any]:
        stage = extras.get("stage", name)
        identity = fingerprint(run, name, extras)
        artifact = f"artifacts/{stage}/{extras.get('label', 'x')}-{identity[:12]}"
        if not extras.get("gone"):
            segment = {"environment": ENVIRONMENT, "threads": 2, **extras.get("segment", {})}
            record = {
                "cpu_seconds": 7.0,
                "files": {"x": {"size": 1500}},
                "segments": [segment],
                "environment": ENVIRONMENT,
                "fingerprint": identity,
                **extras.get("record", {}),
            }
            written = {file: extras[k] for k, file in CURVES.items() if k in extras} | extras.get("rows", {})
            for file, points in written.items():
                self.curve(f"{artifact}/{file}", points)
                sha256 = sha256_file(self.store.root / artifact / file)
                record["files"][file] = {"size": 0, "sha256": sha256}
            self._write(self.store.root / artifact / "artifact.json", sealed(record))
        return {
            "stage": stage,
            "artifact": artifact,
            "fingerprint": identity,
            "action": extras.get("action", "ran"),
            "seconds": extras.get("seconds", 10.0),
            "world_size": 1,
        }

    @staticmethod
    def _write(path: Path, data: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data))


def fingerprint(run: str, name: str, extras: Mapping[str, Any]) -> str:
    """Return the fingerprint of a stage of a run: one of its own, unless it is given."""
    return str(extras.get("fingerprint") or digest([run, name]))


def _sealed(data: dict[str, Any]) -> dict[str, Any]:
    """Seal what the engine could write; a number that is not finite it could not."""
    try:
        return sealed(data)
    except ValueError:
        return data


def in_context(made: Made) -> Run:
    """Write a run with everything that a page can show."""
    metrics: dict[str, float] = {
        "pretrain/parameters": 2_400_000,
        "pretrain/tokens_seen": 3_400_000,
        "pretrain/tokens_per_second": 5123.4,
        "perplexity/test/loss": 1.5,
        "perplexity/test/loss/stderr": 0.02,
        "perplexity/test/perplexity": 4.4817,
        "perplexity/test/bits_per_byte": 1.263,
        "perplexity/test/bits_per_byte/stderr": 0.0175,
        "perplexity/test/gzip_bits_per_byte": 2.122,
        "perplexity/test/xz_bits_per_byte": 1.869,
        "perplexity/test/entropy_bits_per_byte": 1.181,
        "perplexity/test/true_bits_per_byte": 1.184,
    }
    for n, acc in ((0, 0.2), (1, 0.45), (4, 0.7)):
        task = "prompts/primer_operator"
        metrics |= {f"{task}/acc/{n}": acc, f"{task}/acc/{n}/stderr": 0.02}
        metrics |= {f"{task}/permuted_acc/{n}": acc - 0.1, f"{task}/permuted_acc/{n}/stderr": 0.02}
        metrics |= {f"{task}/gain/{n}": acc - 0.2, f"{task}/gain/{n}/stderr": 0.02}
    metrics |= {"prompts/primer_operator/chance": 0.1, "prompts/primer_operator/items": 400}
    curve = []
    for i in range(1, 601):
        point = {"step": 10 * i, "time": float(i), "train/loss": 2 + 5 / i, "lr": 0.003, "grad_norm": 1.0}
        point["tokens_per_second"] = 5000.0 + i % 7
        if i % 100 == 0:
            point |= {"validation/loss": 2.1 + 5 / i, "validation/bits_per_byte": 1.3 + 1 / i}
        curve.append(point)
    samples = [
        {"prompt": prompt, "text": text, "temperature": 0.8, "top_k": None, "top_p": None, "seed": i}
        for i, (prompt, text) in enumerate([("", "import os\n\n" * 20), ("2 ~ 3 =", " 5")] * 4)
    ]
    stages = {
        "corpus": {"action": "reused", "seconds": 60.0},
        "pretrain": {"curve": curve, "seconds": 700.0},
        "perplexity": {},
        "prompts": {},
        "samples": {"samples": samples},
    }
    return made.run(
        "in_context-1",
        metrics=metrics,
        stages=stages,
        changes={"model.num_layers": [4, 8], "corpus.files": [[], ["/a/b.txt"]]},
    )


def hostile(made: Made) -> Run:
    """Write a failed run with long names, missing records, markup and secrets everywhere."""
    script = "<script>alert(1)</script>"
    made.curve(
        "scratch/s/metrics.jsonl",
        [
            {
                "step": 1,
                f"w/{'k' * 80}": 1.0,
                "only_nan": float("nan"),
                "one": 3.0,
                f"a{script}": -2,
                "some": 1,
            },
            {"step": 2, "some": float("inf"), "text": "no number", "flag": True},
            {"step": 3, "some": 5e9},
        ],
    )
    rows = [
        {"prompt": script, "text": f"</pre>{script}\x1b[31m\x00\u202e\ud800", "temperature": float("nan")}
    ]
    return made.run(
        "h" * 100,
        metrics={f"{'corpus'}/{'m' * 120}": float("nan"), f"corpus/{script}": 1e-9, "corpus/n": -1},
        stages={
            "corpus": {"gone": True, "label": "l" * 60},
            "texts": {"stage": "samples", "samples": rows},
            "unended_" + "u" * 60: None,
            "never": None,
        },
        status="failed",
        message=f"unended: {'long' * 60} {script} at https://me:hunter2@example.org/x",
        traceback=f"Traceback\n  {script}",
        current={"name": "unended_" + "u" * 60, "metrics_file": "scratch/s/metrics.jsonl"},
        command=[
            "python",
            "-m",
            "lmexp.run",
            "tracking.api_key=hunter2",
            "x.url=https://e.org/?token=hunter2",
        ],
        config={
            "api_key": "hunter2",
            "url": "https://me:hunter2@e.org",
            "note": script,
            "empty": {},
            "no": None,
        },
        changes={"hub.token": [None, "hunter2"]},
    )


def swept(made: Made) -> str:
    """Write a sweep over a number, a name and seeds, one point of it failed; return its name."""
    points = []
    for i, (lr, optimizer, seed) in enumerate(
        (lr, optimizer, seed)
        for lr in ("1e-4", "1e-3", "1e-2")
        for optimizer in ("adamw", "muon")
        for seed in (1, 2)
    ):
        value = 1.5 - 0.1 * (lr == "1e-3") - 0.05 * (optimizer == "muon") + 0.01 * seed
        failed = i == 3
        run = made.run(
            f"point-{i:02d}",
            metrics={}
            if failed
            else {"perplexity/test/bits_per_byte": value, "pretrain/train/loss": 2 * value},
            status="failed" if failed else "done",
            message="the training loss became nan at step 40, because <b>the learning rate</b> is too high."
            if failed
            else "",
        )
        overrides = ["+experiment=made", f"optimizer.lr={lr}", f"optimizer={optimizer}", f"seed={seed}"]
        points.append((run.name, overrides))
    made.sweep("made-sweep-1", points, num_points=13)
    return "made-sweep-1"
