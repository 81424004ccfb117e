"""Which samples can be drawn, at the bounds."""

import pytest

from lmexp.core.values.config import build
from lmexp.errors import ConfigError
from lmexp.generation.config import SamplesConfig


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"prompts": []}, "prompts must name at least one text, each once, was []"),
        ({"prompts": ["a", "a"]}, "each once"),
        ({"prompts": ["\ud800"]}, "prompts must be valid Unicode"),
        ({"temperature": 0}, "temperature=0 gives the same text 3 times; set num_samples=1 with it."),
        ({"seed": 2**63 - 2}, "seed must leave room for 3 more below 2\\*\\*63"),
        ({"num_sample": 3}, "did you mean 'num_samples'"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(values, sentence):
    with pytest.raises(ConfigError, match=sentence.replace("[", r"\[")):
        build(SamplesConfig, values)


def test_what_stands_at_a_bound_can_be_drawn():
    assert build(SamplesConfig, {"seed": 2**63 - 3, "num_samples": 3}).seed == 2**63 - 3
    assert build(SamplesConfig, {"temperature": 0, "num_samples": 1}).temperature == 0
    assert build(SamplesConfig, {"prompts": ["", "a\n", "a\\n"]}).prompts == ("", "a\n", "a\\n")
