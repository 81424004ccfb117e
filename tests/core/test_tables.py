import json

import pytest

from lmexp.core.files import write_json
from lmexp.core.tables import MAX_ROWS, tables_of


@pytest.fixture
def run(tmp_path):
    """What `run.json` says of one stage with four files, and the store's root."""
    artifact = tmp_path / "artifacts" / "samples" / "made-0123456789ab"
    (artifact / "deeper").mkdir(parents=True)
    samples = [
        {"prompt": f"p{i}", "text": "t", "top_k": None, "stops": ["\n", i]} for i in range(MAX_ROWS + 1)
    ]
    samples[1]["seed"] = 7
    for name in ("samples", "other", "empty", "metrics", "deeper/rows"):
        rows = [] if name == "empty" else samples
        (artifact / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    names = [
        "samples.jsonl",
        "other.jsonl",
        "empty.jsonl",
        "metrics.jsonl",
        "deeper/rows.jsonl",
        "plain.json",
    ]
    write_json(artifact / "artifact.json", {"files": {name: {} for name in names}})
    entry = {
        "artifact": "artifacts/samples/made-0123456789ab",
        "action": "ran",
        "seconds": 1.5,
        "world_size": 1,
        "fingerprint": "0123456789abcdef",
    }
    return {"stages": {"samples": entry}, "metrics": {"samples/count": 3}}, tmp_path


def test_each_file_of_rows_at_the_top_of_an_artifact_is_one_table(run):
    names = [table.name for table in tables_of(*run)]
    assert names == ["stages", "metrics", "samples", "samples/other"]


def test_a_table_has_the_first_rows_with_lists_as_json_and_nothing_where_a_key_is_missing(run):
    samples = list(tables_of(*run))[2]
    assert samples.columns == ["prompt", "text", "top_k", "stops", "seed"]
    assert samples.rows[:2] == [["p0", "t", None, '["\\n", 0]', None], ["p1", "t", None, '["\\n", 1]', 7]]
    assert len(samples.rows) == MAX_ROWS


def test_stages_and_metrics_are_tables_of_their_own(run):
    stages, metrics, *_ = tables_of(*run)
    assert stages.rows == [["samples", "ran", 1.5, 1, "0123456789ab"]]
    assert (metrics.columns, metrics.rows) == (["metric", "value"], [["samples/count", 3.0]])
