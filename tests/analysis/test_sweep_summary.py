"""The table that a sweep ends with."""

from pathlib import Path

from lmexp.analysis.summary import headline, summary
from lmexp.analysis.sweep_summary import sweep_summary
from lmexp.core.records.runs import Run
from lmexp.core.records.sweeps import Point, Sweep

BITS = "perplexity/test/bits_per_byte"


def point(name: str, *overrides: str, status: str = "done", **metrics: float) -> Point:
    named = {key.replace("__", "/"): value for key, value in metrics.items()}
    data = {"run": name, "status": status, "metrics": named, "stages": {}}
    return Point(overrides=overrides, run=Run(Path("x"), data))


def lines(*points: Point) -> list[str]:
    sweep = Sweep(path=Path("s"), data={"num_points": len(points)}, points=points)
    return [" ".join(line.split()) for line in sweep_summary(sweep).splitlines()]


def measured(bits: float, bytes_per_token: float) -> dict[str, float]:
    return {
        "tokenizer__validation__bytes_per_token": bytes_per_token,
        "perplexity__test__loss": 4.25,
        "perplexity__test__loss__stderr": 0.25,
        "perplexity__test__bits_per_byte": bits,
        "perplexity__test__bits_per_byte__stderr": 0.02,
        "perplexity__test__perplexity": 1e40,
    }


def test_a_sweep_of_tokenizers_shows_bytes_per_token_beside_what_depends_on_it():
    found = lines(
        point("t-1", "seed=0", "tokenizer.vocab_size=512", **measured(2.5, 1.75)),
        point("t-2", "seed=0", "tokenizer.vocab_size=1024", **measured(2.25, 2.125)),
    )
    assert found == [
        "point tokenizer.vocab_size status perplexity/test/bits_per_byte perplexity/test/loss "
        "perplexity/test/perplexity tokenizer/validation/bytes_per_token",
        "t-1 512 done 2.500 ± 0.020 4.250 ± 0.250 1e40 1.750",
        "t-2 1024 done 2.250 ± 0.020 4.250 ± 0.250 1e40 2.125",
    ]


def test_another_sweep_does_not_and_a_point_without_a_result_says_so():
    found = lines(
        point("t-1", "seed=0", **measured(2.5, 1.75)),
        point("t-2", "seed=1", status="failed"),
    )
    assert "bytes_per_token" not in found[0]
    assert found[2] == "t-2 1 failed no result no result no result"
    assert lines() == ["no point of the sweep has led to a run"]


def run_with(**metrics: float) -> Run:
    return point("r", **metrics).run


def test_a_model_that_loses_to_a_compressor_is_told_why():
    gzip, xz = (f"perplexity__test__{name}_bits_per_byte" for name in ("gzip", "xz"))
    metrics = {**measured(2.9, 1.7), gzip: 2.2, xz: 2.95}
    text = " ".join(summary(run_with(**metrics)).split())
    assert "perplexity/test: gzip -9 needs fewer bits than the model, which has not learnt yet" in text
    assert "more trainer.max_steps or more text would help" in text
    metrics[xz] = 2.1
    assert "gzip -9 and xz -9e need fewer bits than the model" in " ".join(
        summary(run_with(**metrics)).split()
    )
    metrics |= {xz: 3.0, gzip: 2.9}
    assert "fewer bits" not in summary(run_with(**metrics)), "as good as one is not worse"


def test_a_lossy_tokenizers_share_stands_in_the_tables_and_in_a_sentence():
    metrics = {**measured(2.9, 1.7), "perplexity__test__lost_share": 0.0625}
    text = " ".join(summary(run_with(**metrics)).split())
    assert "perplexity text lost perplexity/test model 2.900 ± 0.020 4.250 ± 0.250 1e40 6.25%" in text
    assert "perplexity/test: the tokenizer loses 6.25% of the text's bytes: the model's figures" in text
    found = lines(
        point("t-1", "tokenizer=word", **metrics), point("t-2", "tokenizer=byte", **measured(2.5, 1.0))
    )
    assert "perplexity/test/lost_share" in found[0]
    metrics["perplexity__test__lost_share"] = 0
    text = " ".join(summary(run_with(**metrics)).split())
    assert "0.00%" in text
    assert "coarser" not in text


def test_the_headline_is_short_and_no_number_has_forty_digits():
    text = headline(run_with(**measured(2.5, 1.75)))
    assert text.startswith("r  done\n\nheld-out text")
    assert "1e40" in text
    assert "0" * 12 not in summary(run_with(**measured(1e40, 1e30)))
