import json

import pytest

from lmexp.core.records.tables import MAX_ROWS, tables_of
from lmexp.core.values.files import sha256_file
from lmexp.core.values.sealed import write_sealed
from lmexp.errors import VerificationError


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
    (artifact / "plain.json").write_text("{}")
    names = [
        "samples.jsonl",
        "other.jsonl",
        "empty.jsonl",
        "metrics.jsonl",
        "deeper/rows.jsonl",
        "plain.json",
    ]
    files = {name: {"sha256": sha256_file(artifact / name)} for name in names}
    write_sealed(artifact / "artifact.json", {"files": files})
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
    assert names == ["stages", "metrics", "samples/other", "samples"]


def test_a_table_has_the_first_rows_with_lists_as_json_and_nothing_where_a_key_is_missing(run):
    samples = list(tables_of(*run))[3]
    assert samples.columns == ["prompt", "text", "top_k", "stops", "seed"]
    assert samples.rows[:2] == [["p0", "t", None, '["\\n", 0]', None], ["p1", "t", None, '["\\n", 1]', 7]]
    assert len(samples.rows) == MAX_ROWS


def test_stages_and_metrics_are_tables_of_their_own(run):
    stages, metrics, *_ = tables_of(*run)
    assert stages.rows == [["samples", "ran", 1.5, 1, "0123456789ab"]]
    assert (metrics.columns, metrics.rows) == (["metric", "value"], [["samples/count", 3.0]])


def test_rows_that_are_not_as_published_or_not_listed_are_in_no_table(run):
    folder = run[1] / "artifacts" / "samples" / "made-0123456789ab"
    (folder / "foreign.jsonl").write_text('{"a": 1}\n')
    assert [table.name for table in tables_of(*run)] == ["stages", "metrics", "samples/other", "samples"]
    (folder / "other.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(VerificationError, match=r"other\.jsonl is not as it was published"):
        list(tables_of(*run))
