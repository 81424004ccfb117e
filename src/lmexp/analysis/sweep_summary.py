"""The table that a sweep ends with in a terminal: of each point, what was swept and what came of it."""

from lmexp.analysis.drawing.formats import NO_RESULT, short
from lmexp.analysis.statistics.bits import sign
from lmexp.analysis.statistics.compared import compare
from lmexp.analysis.summary import table
from lmexp.core.records.sweeps import Sweep
from lmexp.core.values.terminal import printable

_BESIDE = ("loss", "perplexity")
"""Of the text whose bits per byte are compared, what stands beside them."""
_OF_TOKENIZERS = "bytes_per_token"


def sweep_summary(sweep: Sweep) -> str:
    """Return the points of a sweep with their swept keys, headline metric and what explains it."""
    compared = compare(sweep)
    if not compared.runs:
        return "no point of the sweep has led to a run"
    every = list(dict.fromkeys(key for run in compared.runs for key in run.metrics))
    columns = [compared.metric] if compared.metric else []
    text = (compared.metric or "").rpartition("/")[0]
    columns += [key for name in _BESIDE if (key := f"{text}/{name}") in every and key not in columns]
    columns += [key for key in every if key == f"{text}/lost_share" and any(compared.unranked)]
    if any(key.startswith("tokenizer") for key in compared.swept):
        columns += [key for key in every if key.rpartition("/")[2] == _OF_TOKENIZERS][:1]
    rows = [("point", *compared.swept, "status", *columns)]
    for run, setting in zip(compared.runs, compared.settings, strict=True):
        cells = [
            f"{sign(run.metrics, c)}{short(run.metrics[c], run.metrics.get(f'{c}/stderr'))}"
            if c in run.metrics
            else NO_RESULT
            for c in columns
        ]
        swept = (printable(setting.get(key, "")) for key in compared.swept)
        rows.append((run.name, *swept, run.status, *cells))
    return table(rows)
