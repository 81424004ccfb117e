import json
import math

import pytest

from lmexp.analysis.page import run_page
from lmexp.analysis.records import read_run
from lmexp.analysis.statistics.curve import curve_of, read_curves


def write(path, points):
    path.write_text("".join(json.dumps(point) + "\n" for point in points))
    return path


def test_each_number_of_a_point_is_a_curve_over_its_step(tmp_path):
    points = [
        {"step": 1, "time": 5.0, "tokens_seen": 9, "loss": 3, "flag": True, "text": "x"},
        {"step": 2, "loss": 2.5, "validation/loss": 2.75},
        {"loss": 1.0},
    ]
    curves = read_curves(write(tmp_path / "metrics.jsonl", points))
    assert {key: list(curve.points) for key, curve in curves.items()} == {
        "loss": [(1, 3), (2, 2.5)],
        "validation/loss": [(2, 2.75)],
    }
    assert read_curves(tmp_path / "none.jsonl") == {}


def test_a_long_curve_is_its_extremes_and_the_means_of_its_neighbours():
    points = [(float(i), 5.0 if i == 7777 else float(i % 2)) for i in range(12_000)]
    curve = curve_of(points)
    assert len(curve.points) <= 1000
    assert (7777.0, 5.0) in curve.points
    assert curve.width == 200
    assert curve.means[0] == (99.5, 0.5)
    assert curve_of(points[:149]).means == ()
    broken = [*points, (12_000.0, math.nan)]
    assert curve_of(broken).points == broken


@pytest.mark.parametrize("damage", ["", "[1, 2]", '{"train/loss": {"points": 3}}', "one digit"])
def test_a_long_file_is_read_once_and_a_damaged_memory_again(made, monkeypatch, damage):
    points = [{"step": i, "train/loss": 2 + 1 / (i + 1), "lr": 0.1} for i in range(12_000)]
    run = made.run(stages={"pretrain": {"curve": points}})
    record = made.store.root / run.stages["pretrain"]["artifact"] / "artifact.json"
    sha256 = json.loads(record.read_text())["files"]["metrics.jsonl"]["sha256"]
    first = run_page(read_run(run))
    memory = made.store.cache / "curves" / f"{sha256}.json"
    assert memory.exists()
    if damage == "one digit":
        memory.write_text(memory.read_text().replace("2.5", "0.5"))
    elif damage:
        memory.write_text(damage)
    else:
        monkeypatch.setattr("lmexp.analysis.statistics.curve.curve_of", None)  # nothing is reduced again
    assert run_page(read_run(run)) == first
