"""The merges of the obvious loop are the reference's, and by hand those of a textbook."""

from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.tokenizer.config import ByteBPEConfig
from lmexp.tokenizer.structure import byte_characters
from lmexp.tokenizer.traces.bpe import merged, trace_bpe, words_of

THE = ("the car", "the cat", "the rat")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text("abc é\n'", max_size=20), min_size=1, max_size=6))
def test_merges_equal_those_of_the_reference_trainer(texts):
    definition = ByteBPEConfig(vocab_size=280).make(iter(texts)).definition()
    written = byte_characters()
    found = [
        ["".join(written[byte] for byte in part) for part in merge.pair]
        for merge in islice(trace_bpe(texts), 280 - 257)
    ]
    assert found == [list(pair) for pair in definition["model"]["merges"]]


def test_a_textbook_merges_th_the_and_ca():
    merges = list(trace_bpe(THE, ties="first", words="space"))
    assert [merge.token for merge in merges[:3]] == [b"th", b"the", b"ca"]
    assert [merge.count for merge in merges[:3]] == [3, 3, 2]
    assert merges[0].tied == ((b"h", b"e"),)
    assert merges[2].tied == ((b"a", b"t"),)
    assert merges[2].words == ((b"the",), (b"ca", b"r"), (b"ca", b"t"), (b"r", b"a", b"t"))


def test_the_reference_takes_the_pair_of_lowest_ids_and_lets_a_word_keep_its_space():
    tokens = [merge.token for merge in islice(trace_bpe(THE), 3)]
    assert tokens == [b"he", b"the", b"at"]
    assert words_of("the car\n", "gpt2") == [b"the", b" car", b"\n"]
    assert words_of(" the  car\n", "space") == [b"the", b"car"]


@given(st.lists(st.text("abé 中\n", max_size=12), max_size=4))
def test_words_add_up_to_their_texts_and_merging_ends_with_one_token_a_word(texts):
    words = [word for text in texts for word in words_of(text, "gpt2")]
    assert b"".join(words) == "".join(texts).encode()
    *_, last = [None, *trace_bpe(texts, words="space")]
    if last is not None:
        different = list(dict.fromkeys(word for text in texts for word in words_of(text, "space")))
        assert list(last.words) == [(word,) for word in different]


def test_a_pair_is_merged_from_left_to_right():
    assert merged((b"a", b"a", b"a"), (b"a", b"a")) == (b"aa", b"a")
