"""Patterns: which files they match, each once, with links, brackets, accents and bytes in their names."""

import fnmatch
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.corpus.patterns import each_once, file_name, matching_files, nothing_matches, pattern_of, shown


def tree(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def match(root, pattern):
    return [path.relative_to(root).as_posix() for path in matching_files(str(root / pattern))]


def test_stars_match_inside_a_name_and_two_of_them_any_folders_but_hidden_ones(tmp_path):
    tree(tmp_path, "b.txt", "a/b.txt", "a/c/d.txt", "a/c/e.md", ".hidden.txt", "a/.h/f.txt", "B.txt")
    assert match(tmp_path, "*.txt") == ["B.txt", "b.txt"]
    assert match(tmp_path, "**/*.txt") == ["B.txt", "a/b.txt", "a/c/d.txt", "b.txt"]
    assert match(tmp_path, "**/c/*") == ["a/c/d.txt", "a/c/e.md"]
    assert match(tmp_path, "a/**") == ["a/b.txt", "a/c/d.txt", "a/c/e.md"]
    assert match(tmp_path, ".*.txt") == [".hidden.txt"]
    assert match(tmp_path, "?.txt") == ["B.txt", "b.txt"]
    assert match(tmp_path, "[ab].txt") == ["b.txt"]
    assert match(tmp_path, "a/../b.txt") == ["b.txt"]
    assert match(tmp_path, "nowhere/*.txt") == []


def test_links_in_a_circle_end_and_give_each_file_once(tmp_path):
    tree(tmp_path, "a/one.txt", "b/two.txt")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "b" / "self").symlink_to(".")
    (tmp_path / "b" / "over").symlink_to("../a")
    assert match(tmp_path, "**/*.txt") == ["a/one.txt", "b/two.txt"]
    assert match(tmp_path, "**/over/*.txt") in (["b/over/one.txt"], ["a/loop/b/over/one.txt"])


def test_a_file_reached_by_two_names_counts_once_by_its_own(tmp_path):
    tree(tmp_path, "z.txt")
    (tmp_path / "a.txt").symlink_to("z.txt")
    assert match(tmp_path, "*.txt") == ["z.txt"]
    assert match(tmp_path, "a.txt") == ["a.txt"]
    assert each_once([tmp_path / "a.txt", tmp_path / "z.txt"]) == [tmp_path / "z.txt"]


@pytest.mark.parametrize("folder", ["data [v1]", "a b=c", "été", "[x]", "it's", "a*b", "what?"])
def test_what_exists_by_its_very_name_wins_and_the_pattern_of_a_folder_matches(tmp_path, folder):
    tree(
        tmp_path, f"{folder}/one.txt", f"{folder}/two.md", f"{folder}/three.txt", "v/no.txt", "data 1/no.txt"
    )
    pattern = pattern_of(str(tmp_path / folder), [".txt", ".md"])
    assert [path.name for path in matching_files(pattern)] == ["one.txt", "three.txt"]
    assert matching_files(str(tmp_path / folder / "one.txt")) == [tmp_path / folder / "one.txt"]


def test_the_pattern_of_a_folder_has_its_most_frequent_suffix_and_looks_deeper_where_it_must(tmp_path):
    tree(tmp_path, "a/1.md", "a/2.md", "a/3.txt", "b/c/1.jsonl")
    assert pattern_of(str(tmp_path / "a"), [".txt", ".md", ".jsonl"]) == str(tmp_path / "a" / "*.md")
    assert pattern_of(str(tmp_path / "b"), [".txt", ".jsonl"]) == str(tmp_path / "b" / "**" / "*.jsonl")


def test_accents_in_either_form_are_the_same_name(tmp_path):
    composed, apart = (unicodedata.normalize(form, "café.txt") for form in ("NFC", "NFD"))
    tree(tmp_path, f"one/{apart}", f"two/{composed}")
    for pattern in (composed, apart, unicodedata.normalize("NFC", "caf[é].txt")):
        found = [match(tmp_path, f"{folder}/{pattern}") for folder in ("one", "two")]
        assert found == [[f"one/{apart}"], [f"two/{composed}"]]
    assert file_name(Path(apart)) == file_name(Path(composed)) == composed


def test_a_name_that_is_not_utf8_is_found_and_shown_in_ascii(tmp_path):
    name = os.fsdecode(b"caf\xe9\n\x1b[2J.txt")
    (tmp_path / name).write_text("a")
    (found,) = matching_files(str(tmp_path / "*.txt"))
    assert file_name(found) == "caf\\xe9\n\x1b[2J.txt"
    assert shown(found.name) == "caf\\xe9\\n\\x1b[2J.txt"


def test_why_nothing_matches_is_said(tmp_path):
    tree(tmp_path, "notes.txt", ".secret.md")
    assert nothing_matches(str(tmp_path / "notse.txt")) == " (did you mean 'notes.txt'?)"
    assert nothing_matches(str(tmp_path / "gone" / "*.txt")).startswith(": there is no directory ")
    assert ".*.md' names them" in nothing_matches(str(tmp_path / "*.md"))
    assert nothing_matches(str(tmp_path / "*.csv")) == ""


NAMES = st.text(alphabet="ab[]*?.-", min_size=1, max_size=5).filter(
    lambda name: name not in (".", "..", "**")
)


@given(st.lists(NAMES, max_size=6), NAMES)
def test_a_name_matches_as_fnmatch_says_unless_the_pattern_is_a_name(tmp_path_factory, names, pattern):
    root = tmp_path_factory.mktemp("patterns")
    for name in names:
        (root / name).write_text("")
    expected = {
        name
        for name in names
        if fnmatch.fnmatchcase(name, pattern) and (pattern.startswith(".") or not name.startswith("."))
    }
    assert set(match(root, pattern)) == ({pattern} if pattern in names else expected)
