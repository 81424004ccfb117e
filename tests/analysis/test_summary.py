import json
from pathlib import Path

from lmexp.analysis.summary import summary
from lmexp.core.records.runs import Run
from lmexp.core.store.record import RECORD
from lmexp.core.values.files import sha256_file
from lmexp.core.values.sealed import write_sealed


def test_the_table_shows_bits_per_byte_beside_compressors_and_accuracies_beside_the_bigram():
    entry = {
        "stage": "pretrain",
        "action": "ran",
        "seconds": 61.25,
        "artifact": "artifacts/pretrain/gpt-1",
    }
    stages = {"pretrain": entry}
    metrics = {
        "perplexity/test/bits_per_byte": 1.5,
        "perplexity/test/bits_per_byte/stderr": 0.02,
        "perplexity/test/loss": 2.584,
        "perplexity/test/loss/stderr": 0.034,
        "perplexity/test/perplexity": 13.25,
        "perplexity/test/xz_bits_per_byte": 1.75,
        "prompts/python_operator/acc/0": 0.9,
        "prompts/python_operator/acc/0/stderr": 0.01,
        "prompts/python_operator/permuted_acc/4": 0.6,
        "prompts/python_operator/permutation_loss/4": 0.3,
        "prompts/python_operator/acc/4": 0.9,
        "prompts/python_operator/gain/4": 0.0,
        "prompts/python_operator/gain/4/stderr": 0.02,
        "prompts/python_operator/chance": 0.5,
        "prompts/python_operator/baseline_acc": 0.8,
        "prompts/python_operator/items": 500,
        "prompts/sums/exact_match/1": 0.25,
        "prompts/sums/items": 8,
        "prompts/python_bracket/items": 0,
    }
    run = Run(Path("x"), {"run": "r-1", "status": "done", "stages": stages, "metrics": metrics})
    lines = [" ".join(line.split()) for line in summary(run).splitlines()]
    assert "pretrain ran 61.2 artifacts/pretrain/gpt-1" in lines
    assert "perplexity/test model 1.500 ± 0.020 2.584 ± 0.034 13.25" in lines
    assert "perplexity/test xz 1.750" in lines
    assert "prompts shots accuracy chance bigram items change" in lines
    assert "prompts/python_operator 0 0.900 [0.871, 0.923] 0.500 0.800 500" in lines
    assert "prompts/python_operator 4 0.900 [0.871, 0.923] 0.500 0.800 500 +0.000 [-0.039, +0.039]" in lines
    assert "prompts/python_operator 4 permuted 0.600 [0.556, 0.642] 0.500 0.800 500 -0.300" in lines
    assert "prompts/sums 1 0.250 [0.071, 0.591] 8" in lines
    assert "prompts/python_bracket no items here 0" in lines


def test_an_infinite_loss_stands_in_the_table_with_its_sentence():
    metrics = {"perplexity/test/zero_tokens": 3, "perplexity/test/tokens": 10}
    text = " ".join(
        summary(Run(Path("x"), {"run": "r", "status": "done", "stages": {}, "metrics": metrics})).split()
    )
    assert "perplexity/test model infinite infinite infinite" in text
    assert "the model gives 3 of 10 tokens the probability 0" in text


def test_the_table_says_what_was_cut_dropped_and_could_not_be_right():
    metrics = {
        "prompts/a/acc/0": 0.0,
        "prompts/a/acc/0/stderr": 0.0,
        "prompts/a/acc/4": 1.0,
        "prompts/a/permuted_acc/4": 0.5,
        "prompts/a/permutation_loss/4": 0.5,
        "prompts/a/permutation_loss/4/low": 0.1,
        "prompts/a/permutation_loss/4/high": 0.9,
        "prompts/a/truncated/0": 0,
        "prompts/a/truncated/4": 2,
        "prompts/a/dropped": 1234,
        "prompts/a/items": 2,
        "prompts/b/items": 0,
        "prompts/b/dropped": 7,
    }
    run = Run(Path("x"), {"run": "r-1", "status": "done", "stages": {}, "metrics": metrics})
    lines = [" ".join(line.split()) for line in summary(run).splitlines()]
    assert "prompts shots accuracy chance bigram items change remarks" in lines
    assert "prompts/a 0 0.000 [0.000, 0.658] 2 1,234 rows dropped" in lines
    assert "prompts/a 4 1.000 [0.342, 1.000] 2 2 of 2 prompts cut, 1,234 rows dropped" in lines
    assert "prompts/a 4 permuted 0.500 [0.095, 0.905] 2 -0.500 [-0.900, -0.100]" in lines
    assert "prompts/b no items here 0 7 rows dropped" in lines


def test_rows_of_documents_have_a_line_for_each_split_with_the_skew_of_their_first_places():
    packed = {"tokens": 2000, "rows": 1500, "padding": 0.25, "cut_documents": 0.5, "dropped_tokens": 100}
    metrics = {f"packing/train/{name}": value for name, value in {**packed, "first_skew": 0.0446}.items()}
    run = Run(Path("x"), {"run": "r-1", "status": "done", "stages": {}, "metrics": metrics})
    lines = [" ".join(line.split()) for line in summary(run).splitlines()]
    assert "documents in rows rows padding cut dropped skew of first places" in lines
    assert "packing/train 1,500 0.250 0.500 0.050 0.045" in lines


def test_the_documents_of_a_corpus_are_counted_by_split_and_the_dropped_by_reason():
    counts = {"train/documents": 26_584, "validation/documents": 1_448, "test/documents": 1_462}
    lost = {"dropped/null": 3, "dropped/duplicate": 2_539}
    metrics = {f"corpus/{key}": value for key, value in (counts | lost).items()}
    run = Run(Path("x"), {"run": "r-1", "status": "done", "stages": {}, "metrics": metrics})
    lines = [" ".join(line.split()) for line in summary(run).splitlines()]
    assert "documents of train validation test dropped" in lines
    assert "corpus 26,584 1,448 1,462 2,539 duplicate, 3 null" in lines


def test_a_run_without_evaluations_shows_its_stages_only():
    run = Run(Path("x"), {"run": "r-1", "status": "failed", "stages": {}, "metrics": {}})
    assert summary(run).split() == ["r-1", "failed", "stage", "action", "seconds", "artifact"]


def test_the_first_sample_is_shown_in_a_few_lines_that_cannot_disturb_a_terminal(tmp_path):
    folder = tmp_path / "store" / "artifacts" / "samples" / "1-prompts-0"
    folder.mkdir(parents=True)
    text = "\n" + "x" * 150 + "\n\ty\x1b[31m\x07\n" + "z\n" * 20
    row = {"prompt": "\n\nsay: ", "text": text, "temperature": 1.0}
    (folder / "samples.jsonl").write_text(json.dumps(row) + "\n")
    entry = {"size": 0, "sha256": sha256_file(folder / "samples.jsonl")}
    write_sealed(folder / RECORD, {"files": {"samples.jsonl": entry}})
    stages = {
        "texts": {
            "stage": "samples",
            "action": "ran",
            "seconds": 1.0,
            "artifact": "artifacts/samples/1-prompts-0",
        }
    }
    run = Run(tmp_path / "store/runs/r", {"run": "r", "status": "done", "stages": stages, "metrics": {}})
    lines = summary(run).splitlines()
    at = lines.index("texts, the first of them")
    assert lines[at + 1 :] == [
        "  | say: ",
        "  | " + "x" * 100,
        "  | " + "x" * 50,
        "  |     y\ufffd[31m\ufffd",
        "  | z",
        "  | z",
        "  | ...",
    ]


def test_the_first_metrics_of_a_stage_of_ones_own_are_shown():
    entry = {"stage": "letters", "action": "ran", "seconds": 0.1, "artifact": "artifacts/letters/a"}
    metrics = {f"letters/{i}": i / 3 for i in range(10)}
    run = Run(Path("x"), {"run": "r", "status": "done", "stages": {"letters": entry}, "metrics": metrics})
    lines = [" ".join(line.split()) for line in summary(run).splitlines()]
    assert lines[-10:] == [
        "metric value",
        *(f"letters/{i} {i / 3:.4g}" for i in range(8)),
        "letters/... 2 more",
    ]


def test_a_whole_number_of_a_stage_of_ones_own_keeps_all_of_its_digits():
    entry = {"stage": "letters", "action": "ran", "seconds": 0.1, "artifact": "artifacts/letters/a"}
    metrics = {
        "letters/characters": 5_365_591,
        "letters/mean": 5_365_590.5,
        "letters/bytes": 12_000_000.0,
        "letters/least": -1_000,
        "letters/ratio": float("inf"),
        "letters/far": 1e300,
    }
    run = Run(Path("x"), {"run": "r", "status": "done", "stages": {"letters": entry}, "metrics": metrics})
    values = [line.split()[-1] for line in summary(run).splitlines()[-6:]]
    assert values == ["5,365,591", "5,365,590", "12,000,000", "-1,000", "infinity", "1e300"]


def test_the_table_says_what_of_the_code_of_reused_stages_has_changed():
    entry = {"stage": "packing", "action": "reused", "seconds": 1.0, "artifact": "artifacts/packing/p-1"}
    changed = {"changed": ["packing/rows.py bos_aligned", "a.py b", "c.py d", "e.py f", "g.py h"]}
    stages = {"corpus": entry, "packing": entry | changed}
    run = Run(Path("x"), {"run": "r-1", "status": "done", "stages": stages, "metrics": {}})
    found = [line for line in summary(run).splitlines() if "changed since" in line]
    assert found == [
        "packing was reused; changed since: packing/rows.py bos_aligned, a.py b, c.py d and 2 more"
    ]
