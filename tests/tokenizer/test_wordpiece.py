"""WordPiece beside an obvious loop, the library and transformers."""

import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmexp.errors import DataError
from lmexp.tokenizer.config import WordPieceConfig
from lmexp.tokenizer.folder import load_tokenizer
from lmexp.tokenizer.lost import lost_bytes
from lmexp.tokenizer.roles import END_OF_TEXT, UNKNOWN
from tests.tokenizer.families import TEXTS, write

MADE = WordPieceConfig(vocab_size=90).make(iter(TEXTS))
PARTS = [
    "The",
    " cats",
    "mats",
    " ",
    "  ",
    "\n",
    "'",
    "##s",
    UNKNOWN,
    END_OF_TEXT,
    "été",
    "ä",
    "1",
    "x" * 101,
]
texts = st.lists(st.one_of(st.sampled_from(PARTS), st.text(max_size=4)), max_size=8).map("".join)


def slow_pieces(words: Counter[str], number: int) -> list[str]:
    """Return characters, then what the most frequent pair becomes, all pairs counted anew each time."""
    split = {word: [word[0], *(f"##{character}" for character in word[1:])] for word in words}
    firsts = sorted(set("".join(words)))
    pieces = [*firsts, *sorted({piece for word in split.values() for piece in word[1:]})]
    while len(pieces) < number:
        counts = Counter[tuple[str, str]]()
        for word, parts in split.items():
            for pair in pairwise(parts):
                counts[pair] += words[word]
        if not counts:
            break
        left, right = min(counts, key=lambda p: (-counts[p], pieces.index(p[0]), pieces.index(p[1])))
        new = left + right.removeprefix("##")
        if new not in pieces:
            pieces.append(new)
        for parts in split.values():
            i = 0
            while i + 1 < len(parts):
                if (parts[i], parts[i + 1]) == (left, right):
                    parts[i : i + 2] = [new]
                i += 1
    return pieces


def names(made) -> list[str]:
    vocab = made.definition()["model"]["vocab"]
    return sorted(vocab, key=vocab.__getitem__)


def test_the_pieces_are_those_of_an_obvious_loop_on_fifty_corpora():
    for seed in range(50):
        draw = random.Random(seed)
        letters = ("ab", "abcd", "aé中x")[seed % 3]
        words = Counter(
            "".join(draw.choices(letters, k=draw.randint(1, 9))) for _ in range(draw.randint(1, 40))
        )
        text = " ".join(words.elements())
        made = WordPieceConfig(vocab_size=42).make(iter([text]))
        assert names(made) == [UNKNOWN, *slow_pieces(words, 40)], seed


def test_a_word_is_written_by_the_longest_piece_that_fits_each_time():
    known = names(MADE)
    for word in {word for text in TEXTS for word in text.replace("'", " ' ").replace(",", " , ").split()}:
        pieces, begin = [], 0
        while begin < len(word):
            prefix = "##" if begin else ""
            fitting = [e for e in range(len(word), begin, -1) if prefix + word[begin:e] in known]
            if not fitting:
                pieces = [UNKNOWN]
                break
            pieces.append(prefix + word[begin : fitting[0]])
            begin = fitting[0]
        assert [known[i] for i in MADE.encode(word)] == pieces


@given(texts)
@example("don't, x")
@example(f"##s {UNKNOWN}{END_OF_TEXT}")
@settings(max_examples=200, deadline=None)
def test_what_is_lost_is_named_wherever_a_text_does_not_come_back(text):
    ids = MADE.encode(text)
    assert MADE.encode_batch(["", text]) == [[], ids]
    assert MADE.decode(ids) == MADE._backend.decode(ids, skip_special_tokens=False)
    assert MADE.spelled(ids) == MADE.decode(ids).encode()
    comes_back = MADE.decode(ids) == text
    assert (MADE.lost(text) == []) == (lost_bytes(MADE.lost(text)) == 0) == comes_back
    assert MADE.eos_token_id not in ids, "text is data"
    sizes = MADE.token_bytes[ids].sum() - (len(ids) > 0)
    assert sizes == len(MADE.decode(ids).encode()), "a joiner before each word, but none before the first"


def test_spaces_that_were_not_there_count_as_lost():
    assert MADE.lost("sit on, mats") == [("", " ")]
    assert MADE.lost("sit  on") == [("  ", " ")]
    assert MADE.lost("sit on ß") == [("ß", UNKNOWN)]
    assert not MADE.is_lossless


def test_pieces_that_go_on_with_a_word_have_no_space_before_them():
    ids = MADE.encode("mats")
    inside = [i for i in range(MADE.vocab_size) if i in MADE.glued]
    assert {names(MADE)[i][:2] for i in inside} == {"##"}
    assert MADE.continuation("the", ids) == " mats"
    assert MADE.continuation("the ", ids) == "mats"
    assert MADE.continuation("the", inside[:1]) == MADE.token_contents[inside[0]].decode()
    assert MADE.token_bytes[inside[0]] == len(MADE.token_contents[inside[0]])


def test_a_folder_is_read_back_and_by_transformers_with_equal_ids(tmp_path):
    transformers = pytest.importorskip("transformers")
    MADE.save(tmp_path)
    again, theirs = load_tokenizer(tmp_path), transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert (again.roles, again.glued, again.joiner) == (MADE.roles, MADE.glued, b" ")
    for text in (*TEXTS[:3], "", f"a  b é\n{UNKNOWN}the {END_OF_TEXT} ##s", "한 \x1c 😀"):
        ids = MADE.encode(text)
        assert theirs(text)["input_ids"] == again.encode(text) == ids
        assert theirs.decode(ids) == MADE.decode(ids)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"pre_tokenizer": {"type": "WhitespaceSplit"}}, "pre_tokenizer.type WhitespaceSplit: a word could"),
        ({"pre_tokenizer": None}, "pre_tokenizer.type None"),
        ({"decoder": {"type": "WordPiece", "prefix": "@", "cleanup": False}}, "decoder.prefix @"),
        ({"decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True}}, "WordPiece with cleanup True"),
        ({"decoder": None}, "decoder.prefix None"),
        ({"normalizer": {"type": "Lowercase"}}, "normalizer Lowercase"),
    ],
)
def test_what_breaks_a_promise_is_refused(tmp_path, change, sentence):
    with pytest.raises(DataError) as error:
        load_tokenizer(write(tmp_path, MADE.definition() | change, {}))
    assert sentence in str(error.value)


def test_another_prefix_and_too_small_a_vocabulary_are_refused(tmp_path):
    definition = MADE.definition()
    definition["model"]["continuing_subword_prefix"] = "@@"
    with pytest.raises(DataError, match=r"model\.continuing_subword_prefix @@: pieces within"):
        load_tokenizer(write(tmp_path, definition, {}))
    with pytest.raises(DataError, match=r"room for 2 pieces.* split take 5; raise it to at least 7"):
        WordPieceConfig(vocab_size=4).make(iter(["abc"]))
