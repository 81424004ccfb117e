import hashlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.core.values.fingerprint import canonical, digest, digest_of_json, fingerprint

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), values, max_size=5))
def test_the_order_of_keys_does_not_matter(mapping):
    backwards = dict(reversed(list(mapping.items())))
    assert digest(mapping) == digest(backwards)


@given(values)
def test_the_canonical_form_reads_back_as_the_value(value):
    assert json.loads(canonical(value)) == value


@given(values, values)
def test_different_values_have_different_forms(a, b):
    if canonical(a) == canonical(b):
        assert json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, {1, 2}, object(), {1: "a"}, b"bytes", {"a": [math.nan]}]
)
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises((TypeError, ValueError), match="canonical form"):
        canonical(value)


def test_a_fingerprint_is_the_sha256_of_the_written_out_identity():
    text = '{"config":{"a":1.5},"content":{"f":"00"},"inputs":{"x":"ff"},"stage":"s","version":2}'
    found = fingerprint(stage="s", version=2, config={"a": 1.5}, content={"f": "00"}, inputs={"x": "ff"})
    assert found == hashlib.sha256(text.encode()).hexdigest()


@given(values)
def test_what_was_read_from_json_has_the_digest_of_any_value(value):
    assert digest_of_json(json.loads(json.dumps(value))) == digest(value)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_of_json_that_is_not_finite_has_no_digest(number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest_of_json(json.loads(f'{{"a": [{number}]}}'))
