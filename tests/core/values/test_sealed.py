import json

import pytest

from lmexp.core.values.files import read_json
from lmexp.core.values.sealed import (
    has_seal,
    read_sealed,
    sealed,
    unsealed,
    write_sealed,
)

DATA = {"metrics": {"loss": 2.909, "n": 3}, "name": "naïve", "none": None, "list": [1, [True]]}


def test_what_was_sealed_comes_back_without_its_seal(tmp_path):
    write_sealed(tmp_path / "a.json", DATA)
    assert read_sealed(tmp_path / "a.json") == DATA
    assert set(read_json(tmp_path / "a.json")) == {*DATA, "record_sha256"}
    assert unsealed(sealed({})) == {}


def test_every_byte_that_changes_what_is_said_breaks_the_seal(tmp_path):
    write_sealed(tmp_path / "a.json", DATA)
    text = (tmp_path / "a.json").read_text()
    for index in range(len(text)):
        changed = f"{text[:index]}{chr(ord(text[index]) ^ 1)}{text[index + 1 :]}"
        (tmp_path / "a.json").write_text(changed)
        try:
            assert read_sealed(tmp_path / "a.json") == DATA  # a space for another white space
            assert text[index].isspace()
        except ValueError:
            continue


@pytest.mark.parametrize("value", [None, [], 1, "x", {}, DATA, {**DATA, "record_sha256": "0" * 64}])
def test_what_has_no_fitting_seal_is_refused(value):
    with pytest.raises(ValueError, match="seal"):
        unsealed(value)


def test_a_number_that_has_no_form_breaks_no_reader():
    with pytest.raises(ValueError, match="seal"):
        unsealed(json.loads('{"loss": NaN, "record_sha256": "0"}'))
    assert has_seal({"record_sha256": 1})
    assert not has_seal([])
