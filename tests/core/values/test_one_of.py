"""Configurations of which a key chooses the kind."""

from typing import ClassVar

import pytest

from lmexp.core.values.config import (
    Config,
    build,
    completed,
    dotted_names,
    identity,
    option,
    refused_names,
    to_dict,
)
from lmexp.core.values.one_of import OneOf
from lmexp.errors import ConfigError


class Ring(Config):
    refused: ClassVar[dict[str, str]] = {"diameter": "it is twice the radius"}
    radius: float = option(1.0, gt=0)
    width: int = option(2, absent_means=2)


class Block(Config):
    former: ClassVar[dict[str, object]] = {"radius": 1.0, "slope": 0}
    former_unhashed: ClassVar[frozenset[str]] = frozenset({"slope"})
    side: int = option(3)
    width: int = option(2)


BODIES = OneOf(key="form", kinds={"ring": Ring, "block": Block}, unnamed="ring", shared=("width",))


class Named(Config):
    body: Config = option(one_of=OneOf(key="form", kinds={"ring": Ring, "block": Block}))


class Scene(Config):
    body: Config = option(BODIES.default(), one_of=BODIES)


def test_the_key_chooses_the_class_and_the_unnamed_kind_needs_none():
    assert build(Scene, {}).body == Ring()
    assert build(Scene, {"body": {"radius": 2}}).body == Ring(radius=2.0)
    assert build(Scene, {"body": {"form": "block", "side": 5}}).body == Block(side=5)
    assert build(Scene, {"body": Block()}).body == Block()
    assert Scene(body=Block()).body == Block()


@pytest.mark.parametrize("scene", [Scene(), Scene(body=Ring(radius=3.0)), Scene(body=Block(side=1))])
def test_plain_values_build_the_same_again(scene):
    assert build(Scene, to_dict(scene)) == scene
    assert to_dict(scene)["body"]["form"] == BODIES.kind_of(scene.body)


def test_an_identity_names_each_kind_but_the_unnamed_one_and_keeps_keys_of_before():
    assert identity(Scene()) == {"body": {"radius": 1.0}}
    assert identity(Scene(body=Block())) == {"body": {"form": "block", "side": 3, "width": 2, "radius": 1.0}}
    assert completed(Scene, identity(Scene())) == {"body": {"form": "ring", "radius": 1.0, "width": 2}}
    assert completed(Scene, {"body": {"form": "gone", "x": 1}}) == {"body": {"form": "gone", "x": 1}}


def test_what_was_recorded_when_kinds_had_one_class_is_read_at_its_one_value():
    assert build(Scene, {"body": {"form": "block", "radius": 1.0, "slope": 0}}).body == Block()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"form": "blok"}, "body.form must be one of ring, block, was 'blok' (did you mean 'block'?)."),
        ({"form": 3}, "body.form must be one of ring, block, was 3."),
        ({"side": 3}, "body.side does not apply to form ring, only to block; leave it out"),
        ({"form": "block", "radius": 2.0}, "body.radius does not apply to form block, only to ring;"),
        ({"form": "block", "slope": 1}, "body.slope does not apply here, was 1; leave it out."),
        ({"radios": 2}, "body.radios is not a known key (did you mean 'radius'?)."),
        ({"diameter": 2}, "body.diameter is not accepted: it is twice the radius."),
        ({"radius": 0}, "body.radius must be greater than 0, was 0"),
        (None, "body is required and was not given."),
        ([1], "body must be a group of keys, was [1]."),
    ],
)
def test_a_wrong_value_is_a_sentence_that_speaks_of_the_chosen_kind(values, sentence):
    with pytest.raises(ConfigError) as error:
        build(Scene, {"body": values})
    assert str(error.value).startswith(sentence)
    assert "\n" not in str(error.value)


def test_a_configuration_of_no_kind_is_refused_in_python_too():
    with pytest.raises(ConfigError, match=r"^body must be one of Ring, Block, was 3\.$"):
        Scene(body=3)
    with pytest.raises(ConfigError, match=r"^body must be one of Ring, Block, was Scene"):
        Scene(body=Scene())


def test_without_an_unnamed_kind_one_has_to_be_named():
    with pytest.raises(ConfigError, match=r"^body is required and was not given\.$"):
        build(Named, {})
    with pytest.raises(ConfigError, match=r"^body\.form must be one of ring, block, was None\.$"):
        build(Named, {"body": {}})
    assert identity(build(Named, {"body": {"form": "ring"}})) == {"body": {"form": "ring", "radius": 1.0}}


def test_names_are_those_of_all_kinds():
    assert dotted_names(Scene) == ["body", "body.form", "body.radius", "body.width", "body.side"]
    assert refused_names(Scene) == {"body.diameter": "it is twice the radius"}
