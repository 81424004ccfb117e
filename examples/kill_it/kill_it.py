"""Kill a training ten times at random moments, resume it, and compare its weights with an undisturbed one's.

    python kill_it.py [kills=10] [seed=0] [key=value ...]      the rest are overrides of `tiny`

A kill comes soon after a step that is drawn at random; where the steps before it are already done, while
the command still starts. Three stores are filled below ``outputs/``: `undisturbed`; `killed`, whose command
is sent SIGKILL again and again and is then given once more; and `by_turns`, the same with one and two
processes by turns. The first two end in the same bits. Two processes add the same numbers in another order,
so that the third ends equal to rounding: its curve is drawn over the first one's in ``outputs/curves.html``.
"""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lmexp.analysis.drawing.markup import Html, tag
from lmexp.analysis.drawing.svg import Plot, Series, figure
from lmexp.analysis.page import document
from lmexp.analysis.statistics.curve import curve_of
from lmexp.core.records.runs import Run, find_run
from lmexp.core.store.store import Store
from lmexp.core.values.files import read_lines, write_text

OUTPUTS = Path("outputs").absolute()
SILENT = subprocess.DEVNULL
TINY = ["+experiment=tiny", "only=[pretrain]", "checkpoint_every_steps=2", "trainer.log_every_n_steps=1"]


def main(words: Sequence[str]) -> None:
    """Run the three trainings and print what became of them."""
    own = dict(word.split("=", 1) for word in words if word.startswith(("kills=", "seed=")))
    overrides = [*TINY, "tracking.mode=off", *(word for word in words if word.partition("=")[0] not in own)]
    kills, draw = int(own.get("kills", 10)), random.Random(int(own.get("seed", 0)))

    print("undisturbed ...", flush=True)
    calm = finish("undisturbed", overrides)
    moments = sorted(draw.choices(range(1, len(losses(calm)) + 1), k=kills))
    killed = disturbed("killed", [overrides] * kills, moments, draw)
    turns = [[*overrides, f"trainer.devices={1 + number % 2}"] for number in range(kills)]
    by_turns = disturbed("by_turns", turns, moments, draw)

    print("\nsha256 of the weights")
    for name, run in (("undisturbed", calm), ("killed", killed), ("by turns", by_turns)):
        print(f"  {name:12} {weights(run)}")
    apart = max(abs(a - b) / a for a, b in zip(losses(calm), losses(by_turns), strict=True))
    print(f"\none and two processes by turns: the curves are at most {apart:.1e} of the loss apart")
    write_text(OUTPUTS / "curves.html", page(calm, by_turns))
    print(f"both curves: {OUTPUTS / 'curves.html'}")


def disturbed(
    name: str, commands: Sequence[Sequence[str]], moments: Sequence[int], draw: random.Random
) -> Run:
    """Give each command and kill it soon after its step has come; then give the last one to its end."""
    for overrides, moment in zip(commands, moments, strict=True):
        process = subprocess.Popen(command(name, overrides), stdout=SILENT, stderr=SILENT)
        while process.poll() is None and step(name) < moment:
            time.sleep(0.02)
        time.sleep(draw.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        print(f"{name}: killed at step {step(name)}", flush=True)
    return finish(name, commands[-1])


def finish(name: str, overrides: Sequence[str]) -> Run:
    """Give a command and let it end."""
    words = command(name, overrides)
    done = subprocess.run(words, check=False, stdout=SILENT, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return find_run(Store(OUTPUTS / name), "last")


def command(name: str, overrides: Sequence[str]) -> list[str]:
    """Return the command of one run in a store of its own."""
    return [sys.executable, "-m", "lmexp.run", *overrides, f"store={OUTPUTS / name}"]


def step(name: str) -> int:
    """Return the last step that the training has logged."""
    files = OUTPUTS.joinpath(name).glob("scratch/*/*/metrics.jsonl")
    return max((int(line.get("step", 0)) for file in files for line in read_lines(file)), default=0)


def weights(run: Run) -> str:
    """Return the sha256 of the trained weights, as the artifact's record has it."""
    record = Store(run.path.parents[1]).find("pretrain", run.stages["pretrain"]["fingerprint"])
    assert record is not None, "the run is done"
    return str(record.data["files"]["model.safetensors"]["sha256"])


def losses(run: Run) -> list[float]:
    """Return the training loss of each step."""
    points = read_lines(run.artifact("pretrain") / "metrics.jsonl")
    return [float(point["train/loss"]) for point in points if "train/loss" in point]


def page(calm: Run, by_turns: Run) -> str:
    """Return a page with both curves in one plot."""
    series = [
        Series(label=label, points=curve_of(list(enumerate(losses(run), start=1))).points, color=color)
        for label, run, color in (
            ("undisturbed, one process", calm, 1),
            ("killed, one and two processes by turns", by_turns, 2),
        )
    ]
    plot = figure(Plot(title="Training loss", x_label="step", y_label="nats per token", series=series))
    return document(
        title="One training, killed and not",
        kicker="lmexp example",
        status="",
        about="Two curves that cover each other.",
        tiles=[],
        before=Html(""),
        sections=[("curves", "Curves", tag("div", plot, class_="plots"))],
    )


if __name__ == "__main__":
    main(sys.argv[1:])
