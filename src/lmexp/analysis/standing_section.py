"""The part of a sweep's page that says which of its settings can be told apart, and by what."""

from lmexp.analysis.drawing.formats import measured, ranged
from lmexp.analysis.drawing.markup import Html, join, table, tag
from lmexp.analysis.statistics.compared import Compared
from lmexp.analysis.statistics.standing import Difference, Standing
from lmexp.analysis.sweep_plots import label_of

_NAMED = 4
"""Settings that a sentence names before it counts the others."""


def standing_section(compared: Compared, standing: Standing) -> Html:
    """Return the sentence and the table of settings; empty where nothing was measured."""
    if compared.metric is None or all(setting.mean is None for setting in standing.settings):
        return Html("")
    said = [tag("p", tag("strong", in_a_sentence(compared, standing)))]
    said += [tag("p", sentence, class_="quiet") for sentence in _basis(standing)]
    return join([*said, _table(compared, standing)])


def in_a_sentence(compared: Compared, standing: Standing) -> str:
    """Return which setting is best, or which cannot be told from the one that leads."""
    names = [label_of(setting, compared) for setting in standing.settings]
    if standing.leader is None and any(setting.unranked for setting in standing.settings):
        return f"No setting has a rank by {compared.metric}."
    if standing.leader is None:
        return f"{compared.metric} is neither better nor worse where it is greater."
    leader = names[standing.leader]
    if len(names) == 1:
        return "There is one setting, and nothing to tell it from."
    if all(difference is None for difference in standing.differences):
        has_rank = any(setting.unranked for setting in standing.settings)
        return f"{leader} alone has a {'rank' if has_rank else 'result'}."
    if standing.best is not None:
        return f"{leader} is best: every other setting with a result is worse by more than chance explains."
    alike = [
        name
        for name, difference in zip(names, standing.differences, strict=True)
        if difference is not None and not difference.is_told_apart
    ]
    worse = sum(difference is not None and difference.is_told_apart for difference in standing.differences)
    more = f" and {len(alike) - _NAMED} more" if len(alike) > _NAMED else ""
    rest = f" It is better than the other {worse}." if worse else ""
    listed = "; ".join(alike[:_NAMED])
    return f"None is best: {leader} leads, and cannot be told from {listed}{more}.{rest}"


def _basis(standing: Standing) -> list[str]:
    """Return what the differences rest on."""
    if all(difference is None for difference in standing.differences):
        return []
    found = []
    if any(setting.is_bound for setting in standing.settings):
        found.append(
            "A figure behind <= is an upper bound: the model's own is at most that. A bound that is lower "
            "shows its model to be better; one that is higher shows nothing."
        )
    if standing.num_documents is not None:
        found.append(
            f"Differences are paired over the {standing.num_documents:,} documents or items that all were "
            "measured on."
        )
    if standing.seed_degrees:
        found.append("Differences count the spread over seeds, taken as the same in all settings.")
    else:
        found.append(
            "No setting was repeated, so what another seed would change is not known: differences hold for "
            "these very models. Sweep seed=1,2,3 beside the rest to learn it."
        )
    if standing.num_pairs > 1:
        found.append(
            f"Intervals of differences allow for all {standing.num_pairs} pairs of settings: at most one "
            "such sweep in twenty names a difference that is none."
        )
    return [" ".join(found)]


def _table(compared: Compared, standing: Standing) -> Html:
    rows: list[tuple[object, ...]] = []
    marked: list[int] = []
    order = sorted(range(len(standing.settings)), key=lambda i: _distance(i, standing))
    for i in order:
        setting = standing.settings[i]
        if i == standing.best:
            marked.append(len(rows))
        rows.append(
            (
                *(setting.values or ("all points",)),
                len(setting.observed),
                "" if setting.mean is None else f"{setting.sign}{ranged(setting.mean, setting.interval)}",
                _difference(standing.differences[i]),
                _verdict(i, standing),
            )
        )
    headers = (
        *(compared.parameters or ("setting",)),
        "repetitions",
        str(compared.metric),
        "difference from the leading",
        "",
    )
    first = len(headers) - 4
    caption = "The mean with its 95 % interval over seeds; the difference with one that allows for all pairs"
    return table(headers, rows, caption=caption, numeric=range(first, first + 3), marked=marked, stacked=True)


def _distance(i: int, standing: Standing) -> tuple[int, float]:
    """Return the order of the table: the leader, the others by their distance, those without a result."""
    difference = standing.differences[i]
    if i == standing.leader:
        return 0, 0.0
    if difference is not None:
        return 1, abs(difference.value)
    return (2, 0.0) if standing.settings[i].mean is not None else (3, 0.0)


def _difference(difference: Difference | None) -> str:
    if difference is None:
        return ""
    if difference.interval is None:
        return f"{'+' if difference.value >= 0 else ''}{measured(difference.value, None)}"
    text = ranged(difference.value, difference.interval)
    return text if text.startswith("-") else f"+{text}"


def _verdict(i: int, standing: Standing) -> str:
    setting, difference = standing.settings[i], standing.differences[i]
    if i == standing.leader:
        return "best" if standing.best is not None else "leads"
    if setting.mean is None:
        return "no result"
    if setting.unranked:
        return f"not ranked: {setting.unranked}"
    return "" if difference is None else _apart(difference)


def _apart(difference: Difference) -> str:
    """Return whether a setting is told apart from the leader."""
    if difference.is_open:
        return "a bound: not told apart"
    if difference.interval is None:
        return "no error is known"
    return "worse" if difference.is_told_apart else "not told apart"
