"""How a result came about: stages, what was reused, configuration, command, environment, all numbers."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from lmexp.analysis.drawing.formats import duration, size
from lmexp.analysis.drawing.markup import Html, details, join, table, tag
from lmexp.analysis.records import RunRecords, StageRecord
from lmexp.core.values.fingerprint import SHORT
from lmexp.core.values.numbers import number
from lmexp.core.values.redact import redact, redact_values, redact_words
from lmexp.core.values.spelling import command

_PLACE = ("python", "processor", "platform", "host", "threads")


def stages_section(records: RunRecords) -> Html:
    """Return what ran and what was reused, with the time that each took to compute."""
    longest = max((s.seconds or 0.0 for s in records.stages), default=0.0)
    rows = [_stage_row(stage, longest) for stage in records.stages]
    headers = ("stage", "this time", "took to compute", "", "CPU time", "processes", "size", "artifact")
    computed = sum(s.seconds or 0 for s in records.stages if s.action in ("ran", "resumed"))
    reused = sum(s.seconds or 0 for s in records.stages if s.action == "reused")
    spared = f" and reused what took {duration(reused)}" if reused else ""
    sentence = tag("p", f"The latest invocation computed for {duration(computed)}{spared}.")
    past = [
        (
            _time(line.get("started")),
            str(line.get("outcome", "")),
            ", ".join(n for n, action in line.get("stages", {}).items() if action != "reused") or "nothing",
            str(line.get("host", "")),
            redact(str(line.get("message", ""))),
        )
        for line in records.invocations
    ]
    title = f"{len(past)} invocation{'' if len(past) == 1 else 's'} so far"
    columns = ("started", "outcome", "computed", "host", "message")
    history = details(title, table(columns, past, caption=title)) if past else ""
    return join([sentence, table(headers, rows, caption="Stages", numeric=(2, 4, 5, 6)), history])


def failure_section(records: RunRecords) -> Html:
    """Return the sentence with which the run ended, where it did not end well."""
    run = records.run
    if run.status not in ("failed", "interrupted", "killed"):
        return Html("")
    what = {
        "failed": "This run failed.",
        "interrupted": "This run was interrupted; its command goes on from there.",
        "killed": "This run was killed; its command goes on from there.",
    }[run.status]
    message = redact(str(run.data.get("message", "")))
    trace = next((str(x.get("traceback") or "") for x in reversed(records.invocations)), "")
    shown = details("Traceback of the stage", tag("pre", redact(trace))) if trace else ""
    return tag("div", tag("p", tag("strong", what), " ", message), shown, class_="failure", role="alert")


def config_section(records: RunRecords) -> Html:
    """Return the configuration and its difference from the experiment's defaults."""
    data = records.run.data
    changes = data.get("changes")
    if changes is None:
        said = tag("p", "The difference from the experiment's defaults was not recorded.", class_="quiet")
    elif changes:
        hidden = redact_values(changes)
        rows = [(key, _value(default), _value(value)) for key, (default, value) in hidden.items()]
        caption = f"What differs from {data.get('experiment', 'the experiment')} as it is written"
        said = table(("key", "experiment", "this run"), rows, caption=caption)
    else:
        said = tag("p", f"Nothing differs from {data.get('experiment', 'the experiment')} as it is written.")
    flat = [(key, _value(value)) for key, value in _flat(redact_values(data.get("config", {})))]
    every = details(
        f"All {len(flat)} key{'' if len(flat) == 1 else 's'}",
        table(("key", "value"), flat, caption="Configuration"),
    )
    return join([said, every])


def command_section(records: RunRecords) -> Html:
    """Return the command that gives the same run, and the state of the source that gave this one."""
    line = command(redact_words(command_of(records.run.data)))
    parts = [tag("pre", tag("code", line), class_="command", tabindex="0")]
    commits = dict.fromkeys(_commit(s.record) for s in records.stages if s.record)
    source = ", ".join(c for c in commits if c)
    if source:
        parts.append(tag("p", f"Computed with lmexp at {source}.", class_="quiet"))
    return join(parts)


def command_of(data: Mapping[str, Any]) -> list[str]:
    """Return the words of the command; of an older record, those that its process was started with."""
    if data.get("command"):
        return [str(word) for word in data["command"]]
    program, *words = [str(word) for word in data.get("argv") or ["run.py"]]
    name = program.rpartition("/")[2]
    return [*(["python", "-m", "lmexp.run"] if name == "run.py" else [name]), *words]


def environment_section(records: RunRecords) -> Html:
    """Return where each stage was computed, and what it chose there by itself; equal ones together."""
    places: dict[str, tuple[Mapping[str, Any], list[str]]] = {}
    for stage in records.stages:
        for segment in stage.record.get("segments", []):
            environment = {
                **segment.get("environment", {}),
                "threads": segment.get("threads"),
                "variables": segment.get("variables") or {},
                "choices": segment.get("choices") or {},
            }
            environment.pop("git", None)
            names = places.setdefault(json.dumps(environment, sort_keys=True), (environment, []))[1]
            if stage.name not in names:
                names.append(stage.name)
    if not places:
        return tag("p", "No artifact of this run is in the store, so nothing is known.", class_="quiet")
    return join(_place(environment, names) for environment, names in places.values())


def numbers_section(records: RunRecords) -> Html:
    """Return every metric of every stage."""
    found = []
    for stage in records.stages:
        own = [(key, number(value)) for key, value in stage.own(records.metrics).items()]
        if own:
            title = f"{stage.name}: {len(own)} number{'' if len(own) == 1 else 's'}"
            found.append(details(title, table(("metric", "value"), own, caption=stage.name, numeric=(1,))))
    return join(found) if found else tag("p", "No stage has returned a number yet.", class_="quiet")


def _stage_row(stage: StageRecord, longest: float) -> tuple[object, ...]:
    width = 0 if not longest or stage.seconds is None else max(1, round(96 * stage.seconds / longest))
    kind = "spare" if stage.action == "reused" else "spent"
    bar = Html(
        '<svg class="bar" viewBox="0 0 100 10" aria-hidden="true">'
        f'<rect class="{kind}" width="{width}" height="10" rx="2"/></svg>'
    )
    cpu = stage.record.get("cpu_seconds")
    files = stage.record.get("files")
    gone = " (no longer in the store)" if stage.path is not None and not stage.record else ""
    return (
        stage.name,
        tag("span", stage.action, class_=f"action {stage.action.replace(' ', '-')}"),
        "" if stage.seconds is None else duration(stage.seconds),
        bar if width else "",
        "" if cpu is None else duration(cpu),
        "" if stage.world_size is None else stage.world_size,
        "" if files is None else size(sum(entry["size"] for entry in files.values())),
        tag("code", stage.artifact, gone) if stage.artifact else "",
    )


def _place(environment: Mapping[str, Any], names: list[str]) -> Html:
    packages = environment.get("packages") or {}
    rows = [(key, str(environment[key])) for key in _PLACE if environment.get(key) is not None]
    rows += [(name, version) for name, version in packages.items() if version]
    rows += [(name, value) for name, value in environment["variables"].items()]
    rows += [(name, str(value)) for name, value in environment["choices"].items()]
    return table(("", "version or name"), rows, caption=f"Computed {', '.join(names)}")


def _commit(record: Mapping[str, Any]) -> str:
    git = (record.get("environment") or {}).get("git")
    if not git:
        return ""
    changed = f" with changes {git['diff_sha256'][:SHORT]}" if git.get("diff_sha256") else ""
    return f"commit {git['commit'][:SHORT]}{changed}"


def _flat(values: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) of each leaf."""
    if isinstance(values, Mapping) and values:
        for key, value in values.items():
            yield from _flat(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, values


def _value(value: Any) -> str:
    if value == "???":  # what an experiment leaves open
        return "(must be given)"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _time(text: Any) -> str:
    """Return a record's time to the second, in UTC."""
    return str(text or "")[:19].replace("T", " ")
