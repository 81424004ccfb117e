import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lmexp.core.graph.yaml_files import MAX_DEPTH, MAX_NODES, check_yaml_files, endless
from lmexp.errors import ConfigError

BOMB = "\n".join(
    ["a0: &a0 [1,1,1,1,1,1,1,1,1]", *(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10))]
)
ENDLESS = {
    "a list in itself": ("seed: &a [*a]\n", "line 1: *a refers to what it is part of"),
    "a mapping in itself": ("seed: &a\n  b:\n    c: *a\n", "line 3: *a refers to what it is part of"),
    "a merge of itself": ("a: &a\n  <<: *a\n", "line 2: *a refers to what it is part of"),
    "aliases of aliases": (BOMB, "stands for more than 100,000 keys and values"),
    "3,000 brackets": ("seed: " + "[" * 3000 + "]" * 3000, "line 1 nests more than 100 levels deep"),
    "3,000 braces": ("seed: " + "{a: " * 3000 + "}" * 3000, "line 1 nests more than 100 levels deep"),
    "3,000 indents": ("\n".join(" " * i + "a:" for i in range(3000)), "nests more than 100 levels deep"),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_configuration_without_end_is_refused_with_its_file_and_line(tmp_path, name):
    text, problem = ENDLESS[name]
    path = tmp_path / "experiment" / "mine.yaml"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"^{path}, ") as error:
        check_yaml_files(tmp_path)
    assert problem in str(error.value)
    path.write_text("seed: 1\n")
    check_yaml_files(tmp_path)


def test_a_file_that_changes_is_looked_at_again(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("seed: 1\n")
    check_yaml_files(tmp_path)
    path.write_text("seed: &a [*a]\n")
    with pytest.raises(ConfigError, match="refers to what it is part of"):
        check_yaml_files(tmp_path)


@pytest.mark.parametrize("data", [b"a: [1, 2", b"a: \xff", b"\x00", b"", b"%YAML 9.9", b"a: *nowhere"])
def test_what_is_no_yaml_is_left_to_who_reads_it(tmp_path, data):
    (tmp_path / "odd.yaml").write_bytes(data)
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "nowhere.yaml").symlink_to("missing")
    check_yaml_files(tmp_path)


def test_anchors_and_merges_within_bounds_are_allowed():
    text = "base: &base {lr: 0.1, betas: [0.9, 0.95]}\nmine:\n  <<: *base\n  lr: 0.2\nagain: *base\n"
    assert yaml.safe_load(text)["mine"] == {"lr": 0.2, "betas": [0.9, 0.95]}
    assert endless(text) == ""


def _depth(value):
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def _size(value):
    """Keys, values and collections, as a slow count over what was built."""
    if isinstance(value, dict):
        return 1 + sum(1 + _size(entry) for entry in value.values())
    return 1 + sum(map(_size, value)) if isinstance(value, list) else 1


@given(
    st.recursive(
        st.integers(),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3)
        ),
        max_leaves=40,
    )
)
def test_what_is_counted_is_what_would_be_built(value):
    text = yaml.safe_dump(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lmexp.core.graph.yaml_files.MAX_NODES", _size(value))
        patch.setattr("lmexp.core.graph.yaml_files.MAX_DEPTH", _depth(value) + 1)
        assert endless(text) == ""
        patch.setattr("lmexp.core.graph.yaml_files.MAX_NODES", _size(value) - 1)
        assert "stands for more" in endless(text)


def test_the_bounds_are_far_above_any_configuration():
    assert (MAX_DEPTH, MAX_NODES) == (100, 100_000)
