"""An audit in the table of a run and on its page."""

import pytest

from lmexp.analysis.audits import audits_of
from lmexp.analysis.page import run_page
from lmexp.analysis.records import read_run
from lmexp.analysis.summary import summary
from lmexp.errors import VerificationError

ROWS = [
    {
        "check": "bytes",
        "about": "the bytes of the tokens are the bytes of the text",
        "verdict": "pass",
        "figure": 0.0,
        "tolerance": 0.0,
        "reason": "",
    },
    {
        "check": "sums_to_one",
        "verdict": "fail",
        "figure": 136.2,
        "tolerance": 1e-05,
        "reason": "the probabilities of all 257 next tokens sum to 137.2.",
    },
    {
        "check": "figures",
        "verdict": "fail",
        "figure": "inf",
        "tolerance": 0.001,
        "reason": "40 for <b>1</b>.",
    },
    {"check": "test_split", "verdict": "unknown", "figure": None, "tolerance": 0.0, "reason": "no record."},
]
METRICS = {"audit/passed": 1, "audit/failed": 2, "audit/unknown": 1}


@pytest.fixture
def audited(made):
    return made.run(stages={"audit": {"rows": {"audit.jsonl": ROWS}}}, metrics=METRICS)


def test_the_table_shows_each_check_and_why_it_does_not_pass(audited):
    lines = summary(audited).splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("check "))
    assert [line.split() for line in lines[begin : begin + 2]] == [
        ["check", "verdict", "found", "at", "most"],
        ["the", "bytes", "of", "the", "tokens", "are", "the", "bytes", "of", "the", "text", "pass", "0", "0"],
    ]
    assert lines[begin + 2].split()[-3:] == ["fail", "136.2", "1e-5"]
    assert lines[begin + 3].split()[-3:] == ["fail", "inf", "0.001"]
    assert lines[begin + 4].split()[-2:] == ["unknown", "0"]
    assert "sums_to_one: the probabilities of all 257 next tokens sum to 137.2." in lines
    assert "test_split: no record." in lines
    assert "audit/failed" not in "\n".join(lines), "the table says so already"


def test_the_page_shows_the_same_and_warns(audited, made):
    page = run_page(read_run(audited))
    assert "the probabilities of all 257 next tokens sum to 137.2." in page
    assert "40 for &lt;b&gt;1&lt;/b&gt;." in page
    assert "A check has failed" in page
    passing = made.run("made-2", stages={"audit": {"rows": {"audit.jsonl": ROWS[:1]}}})
    assert "A check has failed" not in run_page(read_run(passing))
    assert 'id="audit"' not in run_page(read_run(made.run("made-3")))


def test_an_audit_that_was_altered_is_refused_and_one_that_is_gone_is_left_out(audited):
    file = audited.artifact("audit") / "audit.jsonl"
    file.write_text(file.read_text().replace("fail", "pass"))
    with pytest.raises(VerificationError, match=r"audit\.jsonl is not as it was published"):
        list(audits_of(audited))
    (audited.artifact("audit") / "artifact.json").unlink()
    assert list(audits_of(audited)) == []
