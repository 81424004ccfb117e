"""Words and characters beside a dictionary that is filled by hand, the library and transformers."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from lmexp.errors import DataError
from lmexp.tokenizer.config import CharacterConfig, WordConfig
from lmexp.tokenizer.folder import load_tokenizer
from lmexp.tokenizer.lost import Losses, lost_bytes
from lmexp.tokenizer.roles import END_OF_TEXT, UNKNOWN
from lmexp.tokenizer.structure import split_words
from lmexp.tokenizer.tokenizer import Tokenizer

TREEBANK = ["no it was n't <unk> monday", "but while the <unk> was a rout", "it was a rout"]
pieces = st.sampled_from(
    [
        "the",
        "cat",
        "é",
        "中文",
        UNKNOWN,
        END_OF_TEXT,
        "a\x1cb",
        "\x1d",
        " ",
        "  ",
        "\n",
        "\u00a0",
        "\u2028",
        "😀",
    ]
)
texts = st.lists(st.one_of(pieces, st.text(max_size=5)), max_size=9).map("".join)
WORDS = WordConfig(min_count=1).make(iter(["the cat 中文 the", "a\x1cb é"]))
CHARACTERS = CharacterConfig().make(iter(["the cat 中文 <unk>\n", "é"]))


def test_words_are_split_where_the_library_splits_whatever_the_character():
    split = pre_tokenizers.WhitespaceSplit()
    for code in (c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF):
        if (character := chr(code)).isspace() or not character.isprintable():
            text = f"a{character}b {character}"
            assert split_words(text) == [word for word, _ in split.pre_tokenize_str(text)], hex(code)


def test_words_have_ids_by_their_counts_and_equal_ones_by_their_first_place():
    made = WordConfig(min_count=1).make(iter(["b a c a", "d b z a"]))
    assert [made.decode([i]) for i in range(made.vocab_size)] == [UNKNOWN, *"abcdz", END_OF_TEXT]
    assert (made.roles.unk_token_id, made.eos_token_id, made.bos_token_id) == (0, 6, 6)


@pytest.mark.parametrize(
    ("config", "kept"),
    [
        ({"min_count": 1}, ["a", "b", "c"]),
        ({"min_count": 2}, ["a", "b"]),
        ({}, ["a", "b"]),
        ({"vocab_size": 3}, ["a"]),
        ({"vocab_size": 4, "min_count": 1}, ["a", "b"]),
    ],
)
def test_the_vocabulary_holds_what_is_frequent_enough(config, kept):
    made = WordConfig(**config).make(iter(["a b a b a", "c"]))
    assert [made.decode([i]) for i in range(1, made.vocab_size - 1)] == kept


def test_a_closed_text_keeps_every_word_and_loses_nothing():
    made = WordConfig().make(iter(TREEBANK))
    assert made.vocab_size == len({word for line in TREEBANK for word in line.split()}) + 1
    for line in TREEBANK:
        assert made.decode(made.encode(line)) == line
        assert made.lost(line) == []
        assert b" ".join(made.token_contents[i] for i in made.encode(line)) == line.encode()
        assert made.token_bytes[made.encode(line)].sum() == len(line.encode()) + 1, "a space before each word"


@given(texts)
@example(f"the {END_OF_TEXT} cat")
@settings(max_examples=200, deadline=None)
def test_words_are_encoded_as_by_a_dictionary(text):
    known = {WORDS.decode([i]): i for i in range(WORDS.vocab_size - 1)}
    white = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
        map(chr, range(0x2000, 0x200B))
    )
    words = [word for word in re.split(f"[{white}]", text) if word]
    ids = [known.get(word, 0) for word in words]
    assert WORDS.encode(text) == WORDS.encode_batch([text])[0] == ids
    decoded = " ".join(word if word in known else UNKNOWN for word in words)
    assert WORDS.decode(ids) == decoded


@given(texts)
@settings(max_examples=200, deadline=None)
def test_characters_are_encoded_as_by_a_dictionary(text):
    known = {CHARACTERS.decode([i]): i for i in range(1, CHARACTERS.vocab_size - 1)}
    assert CHARACTERS.encode(text) == [known.get(character, 0) for character in text]
    assert CHARACTERS.decode(CHARACTERS.encode(text)) == "".join(c if c in known else UNKNOWN for c in text)


@pytest.mark.parametrize("made", [WORDS, CHARACTERS], ids=["words", "characters"])
@given(text=texts)
@settings(max_examples=150, deadline=None)
def test_nothing_is_lost_exactly_where_a_text_comes_back(made, text):
    lost, general = made.lost(text), Tokenizer.lost(made, text)
    comes_back = made.decode(made.encode(text)) == text
    assert (lost == []) == (general == []) == (lost_bytes(lost) == 0) == comes_back
    assert all(piece in text for piece, _ in lost)
    assert not {made.eos_token_id} & set(made.encode(text)), "text is data"


def test_lost_bytes_are_those_that_do_not_come_back_and_those_that_were_not_there():
    def lost(text):
        return WORDS.lost(text), lost_bytes(WORDS.lost(text))

    assert lost("the dogs  cat\n") == ([("dogs", UNKNOWN), ("  ", " "), ("\n", "")], 4 + 2 + 1)
    assert lost(" the") == ([(" ", "")], 1)
    assert lost(f"{UNKNOWN} the") == ([], 0)
    assert CHARACTERS.lost("café\t") == [("f", UNKNOWN), ("\t", UNKNOWN)]
    assert lost_bytes([("", " "), ("中", UNKNOWN)]) == 1 + 3


def test_the_losses_of_many_texts_are_counted_with_examples():
    losses = Losses(WORDS)
    for text in ("the dog the", "a dog\nthe", "the cat"):
        losses.add(text)
    assert losses.report(27) == {
        "lost_bytes": 3 + 3 + 1 + 1,
        "lost_share": 8 / 27,
        "lost_examples": [
            {"text": "dog", "instead": UNKNOWN, "count": 2},
            {"text": "a", "instead": UNKNOWN, "count": 1},
            {"text": "\n", "instead": " ", "count": 1},
        ],
    }


def test_what_words_add_to_a_text_begins_with_a_space_where_one_belongs():
    ids = WORDS.encode("cat the")
    for text, added in (("the", " cat the"), ("the ", "cat the"), ("", "cat the"), ("the\n", "cat the")):
        assert WORDS.continuation(text, ids) == added
    assert WORDS.continuation("the", []) == ""
    assert CHARACTERS.continuation("the", CHARACTERS.encode("at")) == "at"


@pytest.mark.parametrize("made", [WORDS, CHARACTERS], ids=["words", "characters"])
def test_a_folder_is_read_back_and_by_transformers_with_equal_ids(made, tmp_path):
    transformers = pytest.importorskip("transformers")
    made.save(tmp_path)
    again, theirs = load_tokenizer(tmp_path), transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert again.roles == made.roles
    assert not again.is_lossless
    assert (theirs.unk_token_id, theirs.eos_token_id) == (0, made.vocab_size - 1)
    for text in ("the cat", "", f"a  b é\n{UNKNOWN}the {END_OF_TEXT} {UNKNOWN}", "the 中文 \x1c 😀"):
        ids = made.encode(text)
        assert theirs(text)["input_ids"] == again.encode(text) == ids
        assert theirs.decode(ids) == made.decode(ids)


def test_a_vocabulary_of_nothing_is_refused():
    with pytest.raises(DataError, match=r"no word of the train split occurs 2 times.*tokenizer\.min_count"):
        WordConfig().make(iter(["a b c"]))
    with pytest.raises(DataError, match="no character of the train split occurs 1 times"):
        CharacterConfig().make(iter([""]))
