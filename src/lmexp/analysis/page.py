"""A run's page: one HTML file that needs nothing else, a pure function of the run's records.

It holds no script, refers to nothing outside of itself and forbids both by a content security policy,
so that it can be mailed, printed, opened years later, or shown inside another page. The same records
give the same bytes.
"""

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmexp.analysis.account import (
    command_section,
    config_section,
    environment_section,
    failure_section,
    numbers_section,
    stages_section,
)
from lmexp.analysis.accuracies import headline_accuracy, tasks
from lmexp.analysis.audits import audits_section
from lmexp.analysis.corpora import corpus_section
from lmexp.analysis.curves import curve_figures
from lmexp.analysis.drawing.formats import duration, measured
from lmexp.analysis.drawing.markup import Html, escape, join, tag
from lmexp.analysis.leaderboard.section import leaderboard_section
from lmexp.analysis.quality import quality_section
from lmexp.analysis.records import RunRecords
from lmexp.analysis.statistics.bits import COMPRESSORS, bits_per_byte, lost_share, sign
from lmexp.analysis.texts import samples_section
from lmexp.core.values.numbers import number

_STYLE = Path(__file__).with_name("page.css")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"

Tile = tuple[str, str, str]
"""A headline number: what it is, the number, a remark."""


def run_page(records: RunRecords) -> str:
    """Return the page of a run."""
    run = records.run
    sections = [
        ("leaderboard", "Leaderboard", leaderboard_section(records)),
        ("quality", "Results", quality_section(records.metrics)),
        ("audit", "Audit", audits_section(records.audits)),
        ("samples", "What it writes", samples_section(records.samples)),
        *(
            (f"curves-{i}", f"Curves of {stage.name}", curve_figures(stage.curves))
            for i, stage in enumerate(records.stages)
            if stage.curves
        ),
        ("corpus", "Corpus", corpus_section(records.metrics)),
        ("stages", "Stages", stages_section(records)),
        ("config", "Configuration", config_section(records)),
        ("command", "The same run again", command_section(records)),
        ("environment", "Environment", environment_section(records)),
        ("numbers", "All numbers", numbers_section(records)),
    ]
    group = run.data.get("group")
    part = f", part of {group}" if group and group != run.data.get("experiment") else ""
    return document(
        title=run.name,
        kicker=f"lmexp run of {run.data.get('experiment', 'an experiment')}{part}",
        status=run.status,
        about=_when(run.data),
        tiles=headlines(records),
        before=failure_section(records),
        sections=[s for s in sections if s[2]],
    )


def headlines(records: RunRecords) -> list[Tile]:
    """Return the few numbers at the top: quality, then the model, then what it cost."""
    metrics, tiles = records.metrics, []
    for head, values in bits_per_byte(metrics).items():
        if "" in values:
            others = {w: v for w, (v, _) in values.items() if w in COMPRESSORS}
            best = min(others, key=lambda w: others[w], default=None)
            remark = f"{head}; {best} {others[best]:.3f}" if best else head
            remark += "; no distribution" if metrics.get(f"{head}/is_normalized") == 0 else ""
            lost = lost_share(metrics, head)
            remark += f"; {lost:.2%} of the text lost" if lost else ""
            at_most = sign(metrics, f"{head}/bits_per_byte")
            tiles.append(("bits per byte", f"{at_most}{measured(*values[''])}", remark))
            tiles += _per_token(metrics, head)
    accuracy = headline_accuracy(tasks(metrics))
    tiles += [accuracy] if accuracy else []
    for stage in records.stages:
        own = stage.own(metrics)
        if "parameters" in own:
            tiles.append(("parameters", number(own["parameters"]), _seen(own)))
        if "tokens_per_second" in own:
            tiles.append(
                ("tokens per second", number(round(own["tokens_per_second"])), _work(stage.name, own))
            )
    if not tiles:
        tiles = [(k.partition("/")[2], number(v), k.partition("/")[0]) for k, v in list(metrics.items())[-4:]]
    seconds = sum(s.seconds or 0.0 for s in records.stages)
    cpu = sum(float(s.record.get("cpu_seconds") or 0) for s in records.stages)
    if seconds:
        tiles.append(("computing", duration(seconds), f"{duration(cpu)} of CPU time" if cpu else ""))
    return tiles


def _work(name: str, own: Mapping[str, float]) -> str:
    """Return a training's name, and where they are known the arithmetic of its rate and its utilisation."""
    if "flops_per_token" not in own:
        return name
    said = f"{name}; {own['tokens_per_second'] * own['flops_per_token'] / 1e9:,.1f} GFLOP a second"
    return f"{said}, MFU {own['mfu']:.1%}" if "mfu" in own else said


def document(
    *,
    title: str,
    kicker: str,
    status: str,
    about: str,
    tiles: Sequence[Tile],
    before: Html,
    sections: Sequence[tuple[str, str, Html]],
) -> str:
    """Return a whole page around its sections (id, heading, content)."""
    items = (tag("li", tag("a", heading, href=f"#{ident}")) for ident, heading, _ in sections)
    links = tag("nav", tag("ul", *items), aria_label="Sections")
    badge = tag("span", status, class_=f"status {status}") if status else ""
    head = tag(
        "header",
        tag("p", kicker, class_="kicker"),
        tag("h1", title, " ", badge),
        tag("p", about, class_="quiet") if about else "",
        tag("dl", *(_tile(*tile) for tile in tiles), class_="tiles") if tiles else "",
    )
    body = join(
        tag("section", tag("h2", heading, id=f"{ident}-h"), content, id=ident, aria_labelledby=f"{ident}-h")
        for ident, heading, content in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<meta name="color-scheme" content="light dark">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(title)}</title>\n'
        f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style>\n</head>\n"
        f"<body>\n{head}\n{links}\n<main>\n{escape(before)}\n{body}\n</main>\n</body>\n</html>\n"
    )


def _tile(label: str, value: str, remark: str) -> Html:
    return tag("div", tag("dt", label), tag("dd", tag("strong", value), tag("span", remark)))


def _per_token(metrics: Mapping[str, float], head: str) -> list[Tile]:
    """Return perplexity and cross-entropy, which depend on the tokenizer; nothing where nobody measured."""
    if f"{head}/perplexity" not in metrics or f"{head}/loss" not in metrics:
        return []
    loss = measured(metrics[f"{head}/loss"], metrics.get(f"{head}/loss/stderr"))
    at_most = sign(metrics, f"{head}/loss")
    remark = f"cross-entropy {at_most}{loss} nats per token"
    return [("perplexity per token", f"{at_most}{number(metrics[f'{head}/perplexity'])}", remark)]


def _seen(own: dict[str, float]) -> str:
    return f"{number(own['tokens_seen'])} tokens seen" if "tokens_seen" in own else ""


def _when(data: dict[str, Any]) -> str:
    started = datetime.datetime.fromisoformat(str(data["started"]))
    host = (data.get("process") or {}).get("host", "an unknown host")
    text = f"Started {started:%Y-%m-%d %H:%M} UTC on {host}"
    if data.get("finished"):
        lasted = datetime.datetime.fromisoformat(str(data["finished"])) - started
        text += f", ended after {duration(lasted.total_seconds())}"
    return f"{text}."
