"""Several models of a run on one text: their order, their differences, and what has no rank."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.analysis.leaderboard.rows import leaderboards
from lmexp.analysis.leaderboard.section import cells_of, front, in_a_sentence, leaderboard_section
from lmexp.analysis.records import read_run
from lmexp.analysis.summary import summary

from ..made import Made

CORPUS, TOKENIZER, PACKING = "c" * 64, "t" * 64, "p" * 64
BITS = {"good": (1.0, 2.0, 3.0), "worse": (2.0, 3.0, 4.5), "alike": (2.1, 3.1, 4.4)}
"""Bits on each byte of three documents of ten bytes and ten tokens."""


def read(name):
    return {"fingerprint": name[0] * 64}


def measured(name, bits, **metrics):
    """Return a model and its perplexity, as `Made` wants them."""
    total = sum(bits) / len(bits)
    rows = [
        {"id": f"d{i}", "nll_sum": b * 10 * math.log(2), "bytes": 10, "tokens": 10}
        for i, b in enumerate(bits)
    ]
    own = {
        "test/bits_per_byte": total,
        "test/bits_per_byte/stderr": 0.1,
        "test/bytes": 30,
        "test/tokens": 30,
        "test/documents": 3,
        "test/gzip_bits_per_byte": 2.5,
        **metrics,
    }
    inputs = {"model": read(name), "corpus": read("c"), "tokenizer": read("t")}
    model = {
        "stage": "pretrain",
        "label": f"{name}-1x8",
        "fingerprint": name[0] * 64,
        "record": {
            "label": f"{name}-1x8",
            "inputs": {"packing": read("p")},
            "metrics": {"parameters": 100, "tokens_seen": 1000, "flops_per_token": 600, "cpu_seconds": 4.0},
        },
    }
    perplexity = {
        "stage": "perplexity",
        "rows": {"test.jsonl": rows},
        "record": {"inputs": inputs, "metrics": own, "cpu_seconds": 3.0},
    }
    sizes = {
        "stored_bytes": 400,
        "train/two_part_bits_per_byte/stored": 5.0,
        "train/gzip_bits_per_byte": 2.25,
    }
    sizes["train/two_part_bits_per_byte/int8"] = 3.5
    size = {"stage": "size", "record": {"inputs": inputs, "metrics": sizes}}
    return {name: model, f"perplexity_{name}": perplexity, f"size_{name}": size}


def board(made: Made, *models, **more):
    stages = {
        "corpus": {"fingerprint": CORPUS},
        "tokenizer": {"fingerprint": TOKENIZER, "record": {"metrics": {"vocab_size": 256}}},
        "packing": {"fingerprint": PACKING, "record": {"inputs": {"corpus": read("c")}}},
    }
    for model in models:
        stages |= model
    run = made.run(stages=stages | more)
    return run, leaderboards(read_run(run))


@pytest.fixture
def three(made):
    run, (found,) = board(made, *(measured(name, bits) for name, bits in BITS.items()))
    return run, found


def rows_of(found):
    return {row.name: row for row in found.rows}


def test_models_stand_in_the_order_of_their_bits_among_what_compresses_the_same_text(three):
    _, found = three
    assert [row.name for row in found.rows] == ["good", "gzip -9", "worse", "alike", "uniform"]
    rows = rows_of(found)
    assert rows["uniform"].bits == 8.0, "30 tokens of 8 bits on 30 bytes"
    assert [row.name for row in found.ranked] == ["good", "worse", "alike"]
    assert found.text == "corpus/test"


def test_a_difference_is_paired_over_documents_with_students_interval(three):
    rows = rows_of(three[1])
    # differences of 1, 1 and 1.5: mean 7/6, standard error 1/6, t of two degrees 4.30265
    assert rows["worse"].behind == pytest.approx(7 / 6)
    assert rows["worse"].behind_interval == pytest.approx(
        (7 / 6 - 4.30265 / 6, 7 / 6 + 4.30265 / 6), rel=1e-4
    )
    assert rows["worse"].is_told_apart
    assert not rows["alike"].is_told_apart, "0.1, 0.1 and -0.1 are no difference"
    assert rows["good"].behind is None


def test_what_a_model_cost_is_read_from_its_record(three):
    row = rows_of(three[1])["good"]
    assert (row.parameters, row.stored_bytes, row.train_flops) == (100, 400, 600_000)
    assert (row.trained_per_second, row.scored_per_second) == (250, 10)
    assert (row.two_part, rows_of(three[1])["gzip -9"].two_part) == (3.5, 2.25)


def test_the_sentence_the_terminal_and_the_page_say_the_same(three):
    run, found = three
    said = in_a_sentence(found)
    assert said.startswith("None is best: model=good leads, and cannot be told from")
    text = " ".join(summary(run).split())
    assert said in text
    assert "2 worse (worse-1x8) 3.167 ± 0.100 +1.167 [0.450, 1.884] 100 400 B 3.500 7.0 s" in text
    page = leaderboard_section(read_run(run))
    assert "not distinguishable from the one above" in page
    assert "Bits per byte over CPU seconds of training" in page


def test_a_bound_and_a_text_that_is_lost_have_no_rank_and_are_shown_with_the_reason(made):
    bound = measured("bound", BITS["good"], **{"test/is_bound": 1})
    lossy = measured("lossy", BITS["good"], **{"test/lost_share": 0.25})
    _, (found,) = board(made, measured("worse", BITS["worse"]), bound, lossy)
    rows = rows_of(found)
    assert [row.name for row in found.ranked] == ["worse"]
    assert rows["lossy"].unranked == "the tokenizer loses 25.00% of the text's bytes"
    cells = {line[1]: line for line in cells_of(found)}
    assert cells["bound (bound-1x8)"][:3] == ("", "bound (bound-1x8)", "<= 2.000 ± 0.100")


def test_a_model_whose_audit_fails_is_named_and_not_ranked(made):
    verdicts = [{"check": "sums_to_one", "verdict": "fail"}, {"check": "bytes", "verdict": "pass"}]
    audit = {
        "stage": "audit",
        "rows": {"audit.jsonl": verdicts},
        "record": {"inputs": {"model": read("good")}},
    }
    _, (found,) = board(
        made, measured("good", BITS["good"]), measured("worse", BITS["worse"]), audit_good=audit
    )
    row = rows_of(found)["good"]
    assert row.unranked == "its audit fails: sums_to_one"
    assert row.audit == "1 fail, 1 pass"
    assert [one.name for one in found.ranked] == ["worse"]


def test_a_model_that_gives_texts_no_probability_stands_last(made):
    encoder = measured("encoder", (1.0,))["encoder"]
    _, (found,) = board(
        made, measured("good", BITS["good"]), measured("worse", BITS["worse"]), encoder=encoder
    )
    assert found.rows[-1].name == "encoder"
    assert found.rows[-1].unranked == "it gives texts no probability"


def test_one_model_alone_makes_no_leaderboard(made):
    run, found = board(made, measured("good", BITS["good"]))
    assert found == []
    assert leaderboard_section(read_run(run)) == ""


costs = st.lists(st.tuples(st.integers(0, 20).map(float), st.integers(0, 20).map(float)), max_size=12)


@given(costs)
def test_on_the_front_stands_each_point_that_no_other_betters_at_its_cost_or_less(points):
    best = {
        point
        for point in points
        if not any((c <= point[0] and b < point[1]) or (c < point[0] and b <= point[1]) for c, b in points)
    }
    assert front(points) == sorted(best)
