"""Plots are read back as XML and held against their data."""

import math
import re
import xml.etree.ElementTree as ET

import pytest

from lmexp.analysis.drawing.dots import Dot, DotPlot, dot_figure
from lmexp.analysis.drawing.svg import Plot, Series, figure


def read(markup: str) -> ET.Element:
    return ET.fromstring(markup)  # noqa: S314 (our own; a figure is well-formed XML, too)


def drawing(root: ET.Element) -> ET.Element:
    found = next(svg for svg in root.iter("svg") if svg.get("role") == "img")
    assert found.get("aria-label")
    assert found.find("desc").text
    return found


def plot(*series: Series, **more) -> ET.Element:
    words = {"title": "T", "x_label": "step", "y_label": "nats", **more}
    return read(figure(Plot(series=series, **words)))


def of_class(root: ET.Element, tag: str, name: str) -> list[ET.Element]:
    return [e for e in root.iter(tag) if name in (e.get("class") or "").split()]


def coordinates(path: ET.Element) -> list[tuple[float, float]]:
    numbers = [float(n) for n in re.findall(r"-?[\d.]+", path.get("d"))]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_a_line_goes_through_its_points_in_proportion():
    root = drawing(plot(Series(label="a", points=[(0, 0.0), (50, 1.0), (100, 4.0)]), log_y=False))
    ((x0, y0), (x1, y1), (x2, y2)) = coordinates(of_class(root, "path", "line")[0])
    assert (x2 - x0) == pytest.approx(2 * (x1 - x0), abs=0.2)
    assert (y0 - y2) == pytest.approx(4 * (y0 - y1), abs=0.5)


def test_ticks_stand_where_their_values_are_drawn():
    root = drawing(plot(Series(label="a", points=[(0, 1.0), (10, 2.0)], mark="both")))
    labels = {
        e.text: float(e.get("y")) for e in of_class(root, "text", "tick") if e.get("text-anchor") == "end"
    }
    dots = of_class(root, "circle", "dot")
    assert float(dots[0].get("cy")) == pytest.approx(labels["1"] - 4.5, abs=0.2)
    assert float(dots[1].get("cy")) == pytest.approx(labels["2"] - 4.5, abs=0.2)


def test_an_error_bar_is_the_interval_of_its_point_and_its_point_says_both_numbers():
    points = [(0, 0.5), (1, 0.7)]
    root = drawing(plot(Series(label="a", points=points, intervals=[(0.4, 0.7), None], mark="both")))
    (bar,) = of_class(root, "path", "error")
    low, high = re.match(r"M[\d.]+ ([\d.]+)V([\d.]+)", bar.get("d")).groups()
    first, second = (float(c.get("cy")) for c in of_class(root, "circle", "dot"))
    unit = (first - second) / 0.2
    assert float(low) - float(high) == pytest.approx(0.3 * unit, abs=0.3)
    assert float(low) - first == pytest.approx(0.1 * unit, abs=0.3)
    assert [c.find("title").text for c in root.iter("circle")] == [
        "a: 0.500 [0.400, 0.700] at step 0",
        "a: 0.700 at step 1",
    ]


def test_what_is_not_finite_is_not_drawn_and_is_counted():
    root = plot(Series(label="a", points=[(0, 1.0), (1, 2.0), (2, math.nan), (3, math.inf), (4, 1.0)]))
    assert "2 points are not finite and not drawn." in "".join(root.itertext())
    assert len(of_class(drawing(root), "path", "line")) == 1
    assert len(of_class(drawing(root), "circle", "dot")) == 1, "a point alone is a dot"


def test_what_has_no_result_is_counted_apart_and_stands_in_the_table():
    root = plot(Series(label="a", points=[(0, 1.0), (1, math.nan)], missing=[2, 3], mark="dots"))
    text = "".join(root.itertext())
    assert "1 point is not finite and not drawn." in text
    assert "2 points have no result." in text
    rows = [["".join(cell.itertext()) for cell in row] for row in root.iter("tr")]
    assert rows[1:] == [
        ["a", "0", "1.000"],
        ["a", "1", "not a number"],
        ["a", "2", "no result"],
        ["a", "3", "no result"],
    ]


def test_means_of_points_are_not_counted_as_points():
    each = Series(label="each", points=[(0, 1.0), (0, 3.0), (1, math.nan)], mark="dots")
    mean = Series(label="mean", points=[(0, 2.0)], derived=True)
    said = drawing(plot(each, mean)).find("desc").text
    assert said.startswith("nats over step, 2 points between 1 and 3;")


@pytest.mark.parametrize("points", [[], [(0, math.nan)]])
def test_without_a_point_there_is_a_sentence(points):
    root = plot(Series(label="a", points=points))
    assert "There is no point to draw yet." in "".join(root.itertext())
    assert not list(root.iter("svg"))


def test_a_long_curve_is_drawn_with_its_spike_and_few_points():
    points = [(float(i), 1.0) for i in range(50_000)]
    points[31_007] = (31_007.0, 2.0)
    root = plot(Series(label="a", points=points))
    path = coordinates(of_class(drawing(root), "path", "line")[0])
    assert len(path) <= 1000
    top = min(y for _, y in path)
    assert [y for _, y in path].count(top) == 1
    rows = [["".join(cell.itertext()) for cell in row] for row in root.iter("tr")]
    assert len(rows) <= 43
    assert rows[-1][1] == "49,999"


def test_a_legend_names_series_and_references_once_there_are_several():
    one = plot(Series(label="alone", points=[(0, 1.0), (1, 2.0)]))
    assert not of_class(one, "ul", "legend")
    several = plot(
        Series(label="model", points=[(0, 0.4), (1, 0.8)], mark="both"),
        Series(label="permuted", points=[(0, 0.4), (1, 0.3)], mark="hollow", color=2),
        references=[("chance", 0.1)],
        categories=["0", "4"],
    )
    entries = ["".join(li.itertext()) for li in several.iter("li")]
    assert entries == ["model", "permuted", "chance: 0.1"]
    assert of_class(drawing(several), "path", "reference")[0].find("title").text == "chance: 0.1"
    ticks = [e.text for e in of_class(drawing(several), "text", "tick") if e.get("text-anchor") == "middle"]
    assert ticks == ["0", "4"]


def test_markup_in_a_label_stays_text():
    text = '<script>"&'
    root = plot(Series(label=text, points=[(0, 1.0)], mark="both"), title=text, y_label=text, x_label=text)
    assert not list(root.iter("script"))
    assert next(root.iter("h3")).text == text


def test_a_logarithmic_axis_says_so():
    root = drawing(plot(Series(label="a", points=[(1e-4, 1.0), (1e-2, 2.0)], mark="dots"), log_x=True))
    assert "step (logarithmic)" in "".join(root.itertext())


def test_rows_of_dots_are_in_proportion_and_name_their_values():
    made = DotPlot(
        title="T",
        x_label="bits",
        rows=[
            ("model", [Dot(series="a", value=1.0, error=0.1), Dot(series="b", value=2.0)]),
            ("x" * 90, [Dot(series="a", value=3.0)]),
            ("lost", [Dot(series="a", value=math.nan)]),
        ],
        references=[("entropy", 0.9)],
    )
    root = drawing(read(dot_figure(made)))
    titles = {c.find("title").text: float(c.get("cx")) for c in root.iter("circle")}
    one, two, three = (
        titles["model, a: 1.000 ± 0.100"],
        titles["model, b: 2.000"],
        titles[f"{'x' * 90}, a: 3.000"],
    )
    assert two - one == pytest.approx(three - two, abs=0.2)
    assert [e.text for e in of_class(root, "text", "value")] == ["1.000 ± 0.100", "3.000", "not a number"]
    assert len(of_class(root, "text", "name")[1].text) == 40


def test_rows_without_a_finite_value_are_a_sentence():
    made = DotPlot(title="T", x_label="bits", rows=[("model", [Dot(series="a", value=math.nan)])])
    assert "There is no finite value to draw." in dot_figure(made)
