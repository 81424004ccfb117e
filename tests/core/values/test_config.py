from collections.abc import Mapping
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.core.values.config import Config, build, completed, identity, option, part, to_dict
from lmexp.core.values.one_of import OneOf
from lmexp.errors import ConfigError


class Inner(Config):
    width: int = option(4, ge=1, le=64)
    rate: float = option(0.5, gt=0, lt=1)
    kind: str = option("red", choices=("red", "green"))


class Outer(Config):
    refused: ClassVar[dict[str, str]] = {"colour": "it is spelt inner.kind"}
    inner: Inner = option(Inner())
    names: tuple[str, ...] = option(())
    limit: int | None = option(None, ge=1)
    workers: int = option(0, ge=0, placement=True)
    files: tuple[str, ...] = option((), by_content=True)
    later: int = option(7, absent_means=3)
    needed: bool = option()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "needed is required"),
        ({"needed": True, "innr": {}}, "innr is not a known key (did you mean 'inner'?)"),
        ({"needed": True, "inner": {"widht": 3}}, "inner.widht is not a known key (did you mean 'width'?)"),
        ({"needed": True, "inner": {"width": "wide"}}, "inner.width must be an integer, was 'wide'"),
        ({"needed": True, "inner": {"width": 0}}, "inner.width must be at least 1 and at most 64, was 0"),
        (
            {"needed": True, "inner": {"rate": 1}},
            "inner.rate must be greater than 0 and less than 1, was 1.0",
        ),
        ({"needed": True, "inner": {"kind": "gren"}}, "was 'gren' (did you mean 'green'?)"),
        ({"needed": 1}, "needed must be true or false, was 1"),
        ({"needed": True, "names": "abc"}, "names must be a list like [a,b], was 'abc'"),
        ({"needed": True, "names": ["a", 2]}, "names[1] must be text, was 2"),
        ({"needed": True, "limit": 0}, "limit must be at least 1, was 0"),
        ({"needed": True, "inner": 3}, "inner must be a group of keys, was 3"),
        ({"needed": True, "colour": 3}, "colour is not accepted: it is spelt inner.kind"),
        ({"needed": True, "inner": {"rate": float("nan")}}, "inner.rate must be a finite number"),
        ({"needed": True, "inner": {"rate": 10**400}}, "inner.rate must be a finite number"),
    ],
)
def test_a_bad_value_is_refused_in_one_sentence_that_names_the_key(values, message):
    with pytest.raises(ConfigError) as error:
        build(Outer, values)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_direct_construction_checks_as_the_builder_does():
    with pytest.raises(ConfigError):
        Inner(width=0)


def test_whole_numbers_are_accepted_where_a_number_is_declared_and_hash_alike():
    class Rate(Config):
        value: float = option(ge=0)

    assert identity(Rate(value=1)) == identity(Rate(value=1.0))
    assert isinstance(Rate(value=1).value, float)


def test_identity_leaves_out_placement_paths_and_absent_values():
    config = Outer(needed=True, workers=9, files=("a.txt",), later=3)
    assert identity(config) == {
        "inner": {"width": 4, "rate": 0.5, "kind": "red"},
        "names": [],
        "limit": None,
        "needed": True,
    }


def test_a_field_is_absent_only_at_its_frozen_value_and_not_at_its_default():
    assert identity(Outer(needed=True))["later"] == 7


class Circle(Config):
    radius: float = option(1.0, gt=0)
    colour: str = option("red", placement=True)


class Square(Config):
    side: float = option(1.0, gt=0)


SHAPES = OneOf(key="kind", kinds={"circle": Circle, "square": Square})


class Drawing(Config):
    shapes: Mapping[str, Circle | Square] = option(each_of=SHAPES, absent_means={})


def test_entries_of_a_mapping_are_built_by_kind_or_else_by_name_and_kept_in_order_of_names():
    drawing = build(Drawing, {"shapes": {"square": {"side": 2}, "big": {"kind": "circle", "radius": 9}}})
    assert drawing.shapes == {"big": Circle(radius=9.0), "square": Square(side=2.0)}
    assert list(drawing.shapes) == ["big", "square"]
    assert build(Drawing, to_dict(drawing)) == drawing
    assert identity(drawing) == {
        "shapes": {"big": {"kind": "circle", "radius": 9.0}, "square": {"kind": "square", "side": 2.0}}
    }
    assert identity(Drawing()) == {}


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (3, "shapes must be a group of keys, was 3"),
        ({"circle": 3}, "shapes.circle must be a group of keys, was 3"),
        (
            {"mine": {"kind": "cirkle"}},
            "shapes.mine.kind must be one of circle, square, was 'cirkle' (",
        ),
        ({"mine": {"kind": ["circle"]}}, "shapes.mine.kind must be one of circle, square, was ['circle']"),
        ({"mine": {}}, "shapes.mine.kind must be one of circle, square, was 'mine'"),
        ({"circle": {"radios": 1}}, "shapes.circle.radios is not a known key (did you mean 'radius'?)"),
        ({"circle": {"radius": 0}}, "shapes.circle.radius must be greater than 0, was 0"),
    ],
)
def test_a_wrong_entry_of_a_mapping_is_named_with_its_path(shapes, message):
    with pytest.raises(ConfigError) as error:
        build(Drawing, {"shapes": shapes})
    assert message in str(error.value)


def test_a_mapping_takes_no_class_that_is_not_declared():
    with pytest.raises(ConfigError, match="shapes must map names to Circle, Square"):
        Drawing(shapes={"x": Inner()})


@given(
    width=st.integers(1, 64),
    rate=st.floats(0.01, 0.99),
    names=st.lists(st.text(max_size=5), max_size=3),
    limit=st.none() | st.integers(1, 10),
)
def test_a_config_survives_the_way_through_plain_values(width, rate, names, limit):
    config = Outer(inner=Inner(width=width, rate=rate), names=tuple(names), limit=limit, needed=False)
    assert build(Outer, to_dict(config)) == config


class Filter(Config):
    most: int | None = option(None, absent_means=None)


class Source(Config):
    limit: int | None = option(None, absent_means=None)


class Grown(Config):
    size: int = option(1)
    mode: str = option("old", absent_means="old")
    filters: Filter = option(Filter(), absent_means=Filter())
    sources: Mapping[str, Config] = option(each_of=OneOf(key="kind", kinds={"file": Source}), absent_means={})


def test_a_completed_identity_holds_what_its_left_out_fields_mean():
    assert identity(Grown()) == {"size": 1}
    assert completed(Grown, {"size": 1}) == {
        "size": 1,
        "mode": "old",
        "filters": {"most": None},
        "sources": {},
    }
    grown = Grown(filters=Filter(most=3), sources={"a": Source()})
    assert completed(Grown, identity(grown)) == {
        "size": 1,
        "mode": "old",
        "filters": {"most": 3},
        "sources": {"a": {"kind": "file", "limit": None}},
    }


def test_settings_that_compute_otherwise_than_at_first_have_another_identity_and_all_others_keep_theirs():
    class Rounded(Config):
        digits: int = option(3)
        down: bool = option(False, absent_means=False)

        def revised(self) -> dict[str, int]:
            return {"down": 2} if self.down else {}

    class Holder(Config):
        rounded: Rounded = option()

    assert identity(Holder(rounded=Rounded())) == {"rounded": {"digits": 3}}
    assert identity(Holder(rounded=Rounded(down=True))) == {
        "rounded": {"digits": 3, "down": True, "revised": {"down": 2}}
    }
    assert to_dict(Rounded(down=True)) == {"digits": 3, "down": True}


def test_the_part_of_a_configuration_that_it_inherits_is_a_configuration_of_that_class_alone():
    class Wide(Inner):
        depth: int = option(1)

    assert part(Wide(width=9, depth=3), Inner) == Inner(width=9)
    assert type(part(Wide(), Inner)) is Inner
