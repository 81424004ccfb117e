"""What a run measured of several models on the same text, found by the lineage of its artifacts.

Each perplexity stage names in its record the model, the tokenizer and the corpus that it read. Where two
models or more were measured on one corpus they stand on a leaderboard, and beside them what needs no
training: the compressors, and the uniform distribution over the tokens, which spends log2 V bits on each.

A model has a rank where its bits per byte are those of a distribution, neither a bound nor of a text of which
its tokenizer loses a part, and no check of its audit fails. The difference between neighbours in rank is
paired over the documents, with Student's interval: where zero lies in it they are not told apart.
"""

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from lmexp.analysis.audits import audits_of
from lmexp.analysis.records import RunRecords, StageRecord
from lmexp.analysis.statistics.bits import COMPRESSORS, is_bound, unranked
from lmexp.analysis.statistics.compared import Compared
from lmexp.analysis.statistics.intervals import Interval, t_quantile
from lmexp.analysis.statistics.paired import Units, paired_variance, units_of
from lmexp.core.records.runs import Run

_SPLITS = ("test", "validation")
"""The text that models are compared on: the first of these that was measured."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One model, or what stands beside the models."""

    name: str
    """The model's name in the run, a compressor's command, or ``uniform``."""
    what: str
    """The model's label (`gru-1x128`); empty for what is no model of the run."""
    bits: float | None
    """Bits per byte; None where the model gives texts no probability."""
    error: float | None = None
    """Standard error of `bits` over the documents."""
    is_bound: bool = False
    """Whether `bits` are an upper bound of the model's own."""
    unranked: str = ""
    """Why it has no rank; empty where it has one."""
    audit: str = ""
    """How many checks of its audit pass, fail or have no answer; empty where it was not audited."""
    behind: float | None = None
    """Bits per byte beyond those of the row above in rank."""
    behind_interval: Interval | None = None
    """Of `behind`, at 95 %, paired over the documents."""
    parameters: float | None = None
    """Weights of a network."""
    stored_bytes: float | None = None
    """Bytes of the model's own files; where its size was counted."""
    two_part: float | None = None
    """Bits per byte of the training text, the model's own bits in its shortest form counted with it."""
    cpu_seconds: float | None = None
    """CPU time of the stage that made the model."""
    train_flops: float | None = None
    """Arithmetic of a network's training, by the formula of `lmexp.training.flops`."""
    trained_per_second: float | None = None
    """Tokens that training read in a CPU second."""
    scored_per_second: float | None = None
    """Tokens that were scored in a CPU second of the whole stage, start included."""

    @property
    def is_told_apart(self) -> bool:
        """Whether it is worse than the row above in rank by more than chance explains."""
        return self.behind_interval is not None and self.behind_interval[0] > 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """All rows that were measured on one text, in the order of their bits."""

    text: str
    """The corpus's name in the run and the split."""
    num_documents: int
    rows: tuple[Row, ...]
    compared: Compared
    """The measured models as points of a sweep over `model`, to say which of them can be told apart."""

    @property
    def ranked(self) -> list[Row]:
        """Those with a rank, the best first."""
        return [row for row in self.rows if not row.unranked]


@dataclasses.dataclass(frozen=True)
class _Measured:
    row: Row
    units: Units | None


def leaderboards(records: RunRecords) -> list[Leaderboard]:
    """Return a leaderboard for each corpus that two models or more of a run were measured on."""
    by_corpus: dict[str, list[StageRecord]] = {}
    for stage in records.stages:
        corpus = _input(stage, "corpus")
        if stage.stage == "perplexity" and corpus:
            by_corpus.setdefault(corpus, []).append(stage)
    found = []
    for corpus, stages in by_corpus.items():
        models = {_input(stage, "model") for stage in stages}
        split = next((s for s in _SPLITS if all(f"{s}/bytes" in _metrics(stage) for stage in stages)), None)
        if len(models) > 1 and split is not None:
            found.append(_leaderboard(records, corpus, stages, split))
    return found


def _leaderboard(records: RunRecords, corpus: str, stages: Sequence[StageRecord], split: str) -> Leaderboard:
    measured = [_measured(records, stage, split) for stage in stages]
    ranked = sorted((one for one in measured if not one.row.unranked), key=lambda one: one.row.bits or 0.0)
    rows = [one.row for one in ranked[:1]]
    rows += [_behind(one, above) for above, one in itertools.pairwise(ranked)]
    rows += [one.row for one in measured if one.row.unranked]
    rows += [*_beside(stages[0], records, split), *_unmeasured(records, stages, corpus)]
    return Leaderboard(
        text=f"{_stage_of(records, corpus).name}/{split}",
        num_documents=int(_metrics(stages[0]).get(f"{split}/documents", 0)),
        rows=tuple(sorted(rows, key=lambda row: math.inf if row.bits is None else row.bits)),
        compared=_compared(records, stages, [one.row for one in measured], split),
    )


def _compared(
    records: RunRecords, stages: Sequence[StageRecord], rows: Sequence[Row], split: str
) -> Compared:
    """Return the models as runs of their own, each of which has one perplexity stage."""
    entries = records.run.stages
    runs = tuple(
        Run(
            path=records.run.path,
            data={
                **records.run.data,
                "stages": {"perplexity": entries[stage.name]},
                "metrics": {f"perplexity/{key}": value for key, value in _metrics(stage).items()},
            },
        )
        for stage in stages
    )
    return Compared(
        runs=runs,
        settings=tuple({"model": row.name} for row in rows),
        swept=("model",),
        metric=f"perplexity/{split}/bits_per_byte",
        values=tuple(row.bits for row in rows),
        unranked=tuple("" if row.is_bound else row.unranked for row in rows),
    )


def _measured(records: RunRecords, stage: StageRecord, split: str) -> _Measured:
    own = _metrics(stage)
    key = f"{split}/bits_per_byte"
    model = _stage_of(records, _input(stage, "model"))
    bits = own.get(key)
    why = unranked(own, key) or ("" if bits is not None else "some of its tokens have the probability 0")
    bound = is_bound(own, key)
    audit, fails = _audit(records, _input(stage, "model"))
    why = f"its audit fails: {fails}" if fails else why
    sizes = _size(records, _input(stage, "model"))
    both = [value for key, value in sizes.items() if key.startswith("train/two_part_bits_per_byte/")]
    row = dataclasses.replace(
        _row_of(model),
        bits=bits,
        error=own.get(f"{key}/stderr"),
        is_bound=bound,
        audit=audit,
        stored_bytes=sizes.get("stored_bytes"),
        two_part=min(both, default=None),
        unranked=why or ("its figure is a bound" if bound else ""),
        scored_per_second=_rate(own.get(f"{split}/tokens"), stage.record.get("cpu_seconds")),
    )
    return _Measured(row, units_of(records.run, f"{stage.name}/{key}"))


def _audit(records: RunRecords, model: str) -> tuple[str, str]:
    """Return what an audit of a model found in words, and the names of the checks that fail."""
    for name, rows in audits_of(records.run):
        stage = next(s for s in records.stages if s.name == name)
        if _input(stage, "model") == model:
            counts = Counter(row["verdict"] for row in rows)
            fails = ", ".join(str(row["check"]) for row in rows if row["verdict"] == "fail")
            return ", ".join(f"{count} {verdict}" for verdict, count in counts.items()), fails
    return "", ""


def _size(records: RunRecords, model: str) -> Mapping[str, float]:
    """Return what the size stage of a model counted; nothing where there is none."""
    sized = (one for one in records.stages if one.stage == "size" and _input(one, "model") == model)
    return next(map(_metrics, sized), {})


def _row_of(model: StageRecord) -> Row:
    """Return what a model's record says of it."""
    record, own = model.record, _metrics(model)
    tokens, per_token = own.get("tokens_seen"), own.get("flops_per_token")
    return Row(
        name=model.name,
        what=str(record.get("label", "")),
        bits=None,
        parameters=own.get("parameters"),
        cpu_seconds=record.get("cpu_seconds"),
        train_flops=None if tokens is None or per_token is None else tokens * per_token,
        trained_per_second=_rate(tokens, own.get("cpu_seconds")),
    )


def _behind(one: _Measured, above: _Measured) -> Row:
    """Return a row with its difference from the one above it."""
    assert one.row.bits is not None, "a rank needs bits"
    assert above.row.bits is not None, "a rank needs bits"
    value = one.row.bits - above.row.bits
    paired = None if one.units is None or above.units is None else paired_variance(one.units, above.units)
    interval = None
    if paired is not None:
        variance, units = paired
        margin = t_quantile(units - 1) * math.sqrt(variance)
        interval = (value - margin, value + margin)
    return dataclasses.replace(one.row, behind=value, behind_interval=interval)


def _beside(stage: StageRecord, records: RunRecords, split: str) -> Iterator[Row]:
    """Yield the compressors and the uniform distribution, by what they need on the same text."""
    own = _metrics(stage)
    vocab_size = _metrics(_stage_of(records, _input(stage, "tokenizer"))).get("vocab_size")
    sized = next((_metrics(one) for one in records.stages if one.stage == "size"), {})
    found = [
        Row(
            name=name,
            what="",
            bits=own[f"{split}/{who}_bits_per_byte"],
            unranked="a compressor",
            two_part=sized.get(f"train/{who}_bits_per_byte"),
        )
        for who, name in COMPRESSORS.items()
        if f"{split}/{who}_bits_per_byte" in own
    ]
    if vocab_size:
        uniform = own[f"{split}/tokens"] * math.log2(vocab_size) / own[f"{split}/bytes"]
        found.append(Row(name="uniform", what="", bits=uniform, unranked="every token alike"))
    yield from found


def _unmeasured(records: RunRecords, stages: Sequence[StageRecord], corpus: str) -> Iterator[Row]:
    """Yield the models of the corpus that give texts no probability."""
    measured = {_input(stage, "model") for stage in stages}
    trained_on = {
        _fingerprint(s) for s in records.stages if s.stage == "packing" and _input(s, "corpus") == corpus
    }
    for stage in records.stages:
        if (
            stage.stage == "pretrain"
            and _input(stage, "packing") in trained_on
            and _fingerprint(stage) not in measured
        ):
            yield dataclasses.replace(_row_of(stage), unranked="it gives texts no probability")


def _metrics(stage: StageRecord) -> Mapping[str, float]:
    return stage.record.get("metrics", {})  # type: ignore[no-any-return]


def _input(stage: StageRecord, name: str) -> str:
    """Return the fingerprint of an artifact that a stage read; empty where it read none of the name."""
    return str(stage.record.get("inputs", {}).get(name, {}).get("fingerprint", ""))


def _fingerprint(stage: StageRecord) -> str:
    return str(stage.record.get("fingerprint", ""))


def _stage_of(records: RunRecords, fingerprint: str) -> StageRecord:
    """Return the stage of a run that made an artifact, or what stands for one that is not of the run."""
    for stage in records.stages:
        if fingerprint and _fingerprint(stage) == fingerprint:
            return stage
    return StageRecord(
        name="unknown",
        stage="",
        action="",
        path=None,
        artifact="",
        seconds=None,
        world_size=None,
        record={},
        curves={},
    )


def _rate(count: float | None, seconds: float | None) -> float | None:
    return count / seconds if count and seconds else None
