"""BPE and Unigram over characters beside obvious implementations, the library and transformers."""

import json
import math
import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmexp.errors import DataError
from lmexp.tokenizer.config import BPEConfig, ByteBPEConfig, UnigramConfig
from lmexp.tokenizer.folder import load_tokenizer
from lmexp.tokenizer.lost import lost_bytes
from lmexp.tokenizer.pieces.lattice import Lattice
from lmexp.tokenizer.pieces.split import count_words
from lmexp.tokenizer.pieces.unigram import cut_words, learn_pieces
from lmexp.tokenizer.roles import END_OF_TEXT, UNKNOWN
from lmexp.tokenizer.traces.bpe import trace_bpe
from lmexp.tokenizer.traces.unigram import best_segmentation, em, segmentations
from tests.tokenizer.families import TEXTS

KINDS = {
    "bpe": BPEConfig(vocab_size=350),
    "bpe without bytes": BPEConfig(vocab_size=60, byte_fallback=False, digits="split"),
    "unigram": UnigramConfig(vocab_size=350),
    "unigram without bytes": UnigramConfig(vocab_size=60, byte_fallback=False, digits="split"),
}
MADE = {name: config.make(iter(TEXTS)) for name, config in KINDS.items()}
kinds = pytest.mark.parametrize("name", KINDS)
parts = st.sampled_from(
    [
        "The",
        " cats",
        UNKNOWN,
        END_OF_TEXT,
        "<0x41>",
        " <0xFF>",
        "12",
        "  ",
        "\n",
        "\u2581",
        "😀",
        "é",
        "e\u0301",
    ]
)
texts = st.lists(st.one_of(parts, st.text(max_size=5)), max_size=8).map("".join)


def random_words(seed: int) -> Counter[str]:
    draw = random.Random(seed)
    letters = ("ab", "abcd", "aé中x")[seed % 3]
    words = ["".join(draw.choices(letters, k=draw.randint(1, 9))) for _ in range(draw.randint(1, 40))]
    return Counter(words)


def slow_merges(words: Counter[str], number: int) -> list[tuple[str, str]]:
    """Merge the most frequent pair, of equal ones that of the lowest ids, all counted anew each time."""
    ids = {character: i for i, character in enumerate(sorted(set("".join(words))))}
    split = {word: list(word) for word in words}
    merges = []
    while len(merges) < number:
        counts = Counter[tuple[str, str]]()
        for word, pieces in split.items():
            for pair in pairwise(pieces):
                counts[pair] += words[word]
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], ids[pair[0]], ids[pair[1]]))
        merges.append(best)
        ids.setdefault("".join(best), len(ids))
        for pieces in split.values():
            i = 0
            while i + 1 < len(pieces):
                if (pieces[i], pieces[i + 1]) == best:
                    pieces[i : i + 2] = ["".join(best)]
                i += 1
    return merges


def merges_of(made) -> list[tuple[str, str]]:
    return [tuple(pair) for pair in made.definition()["model"]["merges"]]


def test_the_merges_of_characters_are_those_of_an_obvious_loop_on_fifty_corpora():
    for seed in range(50):
        text = " ".join(random_words(seed).elements())
        made = BPEConfig(vocab_size=60, byte_fallback=False).make(iter([text]))
        words = count_words([text], "keep")
        assert merges_of(made) == slow_merges(words, 60 - 2 - len(set(text))), seed


def test_the_merges_of_bytes_are_those_of_an_obvious_loop_on_fifty_corpora():
    for seed in range(50):
        text = " ".join(random_words(seed).elements())
        made = ByteBPEConfig(vocab_size=290).make(iter([text]))
        traced = [merge.pair for merge, _ in zip(trace_bpe([text]), range(290 - 257), strict=False)]
        contents = dict(zip(range(made.vocab_size), made.token_contents, strict=True))
        ids = made.definition()["model"]["vocab"]
        assert [(contents[ids[a]], contents[ids[b]]) for a, b in merges_of(made)] == traced, seed


@kinds
@given(text=texts)
@example(text=f"x {UNKNOWN} {END_OF_TEXT} <0x41>\x00")
@settings(max_examples=120, deadline=None)
def test_every_text_comes_back_or_what_is_lost_is_named(name, text):
    made = MADE[name]
    ids = made.encode(text)
    assert made.encode_batch(["", text]) == [[], ids]
    comes_back = made.decode(ids) == text
    assert comes_back or not made.is_lossless
    assert (made.lost(text) == []) == (lost_bytes(made.lost(text)) == 0) == comes_back
    if made.is_lossless:
        assert b"".join(made.token_contents[i] for i in ids) == text.encode()
        assert made.token_bytes[ids].sum() == len(text.encode())
    assert made.eos_token_id not in ids, "text is data"


@kinds
def test_it_says_truly_whether_it_is_lossless(name):
    assert MADE[name].is_lossless == KINDS[name].byte_fallback
    assert MADE[name].vocab_size == KINDS[name].vocab_size


@kinds
def test_a_folder_is_read_back_and_by_transformers_with_equal_ids(name, tmp_path):
    transformers = pytest.importorskip("transformers")
    made = MADE[name]
    made.save(tmp_path)
    again, theirs = load_tokenizer(tmp_path), transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert (again.roles, again.is_lossless) == (made.roles, made.is_lossless)
    assert again.token_contents == made.token_contents
    for text in (*TEXTS[:3], "", f"a  b é\n{UNKNOWN}the {END_OF_TEXT} <0x41>", "한 \x1c 😀😁"):
        ids = made.encode(text)
        assert theirs(text)["input_ids"] == again.encode(text) == ids
        assert theirs.decode(ids) == made.decode(ids)


@pytest.mark.parametrize("kind", [BPEConfig, UnigramConfig, ByteBPEConfig])
def test_digits_are_taken_apart_on_request(kind):
    numbers = ["in 1984 of 1984 and 1984 ١٩٨٤"] * 9
    sizes = {"vocab_size": 400}
    together, apart = (kind(**sizes, digits=digits).make(iter(numbers)) for digits in ("keep", "split"))
    assert [together.decode([i]) for i in together.encode(" 1984")] == [" 1984"]
    assert [apart.decode([i]) for i in apart.encode("in 1984")][-4:] == list("1984")
    assert apart.decode(apart.encode("x1 23")) == "x1 23"


@pytest.mark.parametrize("fallback", [True, False])
def test_a_vocabulary_smaller_than_the_characters_is_refused_with_the_least_size(fallback):
    for kind in (BPEConfig, UnigramConfig):
        with pytest.raises(DataError, match=r"split take 26; raise it to at least (\d+)") as error:
            kind(vocab_size=20, byte_fallback=fallback).make(iter(["abcdefghijklmnopqrstuvwxyz"]))
        least = 26 + 2 + 256 * fallback
        assert f"at least {least}," in str(error.value)
        made = kind(vocab_size=least, byte_fallback=fallback).make(iter(["abcdefghijklmnopqrstuvwxyz"]))
        assert made.vocab_size == least
        with pytest.raises(DataError, match="no text to learn pieces from"):
            kind(byte_fallback=fallback).make(iter([""]))


def scores_of(made) -> dict[str, float]:
    entries = made.definition()["model"]["vocab"]
    return {piece: score for piece, score in entries if piece != UNKNOWN and not piece.startswith("<0x")}


@pytest.mark.parametrize("name", ["unigram", "unigram without bytes"])
@given(text=st.text(alphabet="The cats 123can't sit naïve", max_size=30))
@settings(max_examples=150, deadline=None)
def test_a_word_is_split_in_the_likeliest_way_as_viterbi_in_a_plain_loop_finds_it(name, text):
    made, scores = MADE[name], scores_of(MADE[name])
    probs = {piece: math.exp(score) for piece, score in scores.items()}
    for word in count_words([text], KINDS[name].digits):
        if all(character in scores for character in word):
            pieces = [made.decode([i]) for i in made.encode(word)]
            assert "".join(pieces) == word
            best = best_segmentation(word, probs)
            found = sum(scores[piece] for piece in pieces)
            assert found == pytest.approx(math.log(best.prob), abs=1e-4)  # the library rounds to 32 bits
            ways = [w.prob for w in segmentations(word, probs)] if len(word) < 9 else [best.prob]
            assert best.prob == pytest.approx(max(ways))


def test_the_lattice_expects_what_a_sum_over_all_segmentations_does():
    for seed in range(20):
        words = random_words(seed)
        draw = random.Random(seed)
        pieces = sorted(
            {w[i:j] for w in words for i in range(len(w)) for j in range(i + 1, len(w) + 1) if j - i < 4}
        )
        probs = np.array([draw.random() for _ in pieces])
        probs /= probs.sum()
        ids = {piece: i for i, piece in enumerate(pieces)}
        lattice = Lattice(list(words), ids, 3)
        counts = np.array(list(words.values()), dtype=float)
        expected, log_likelihood = lattice.expected(probs, counts)
        step = next(em(list(words.elements()), dict(zip(pieces, probs.tolist(), strict=True))))
        assert log_likelihood == pytest.approx(step.log_likelihood)
        np.testing.assert_allclose(expected, [step.expected[piece] for piece in pieces], atol=1e-12)
        best = lattice.best(np.log(probs))
        named = dict(zip(pieces, probs.tolist(), strict=True))
        np.testing.assert_allclose(
            best, [math.log(best_segmentation(word, named).prob) for word in words], rtol=1e-12
        )


def test_edges_that_are_dropped_are_no_way_any_more():
    ids = {"a": 0, "b": 1, "ab": 2, "aba": 3}
    lattice = Lattice(["abab"], ids, 3)
    logs = np.log(np.array([0.1, 0.1, 0.3, 0.5]))
    assert lattice.best(logs)[0] == pytest.approx(math.log(0.09))
    lattice.keep(np.array([0, 1, -1, 2]))
    assert lattice.best(logs[[0, 1, 3]])[0] == pytest.approx(math.log(0.05))
    whole = Lattice(["ab"], ids, 3, without_whole=True)
    assert whole.best(logs)[0] == pytest.approx(math.log(0.01))


def test_em_ends_where_it_began_or_better_and_characters_stay():
    words = cut_words(count_words(TEXTS, "keep"))
    few, many = learn_pieces(words, 60), learn_pieces(words, 120)
    characters = {character for word in words for character in word}
    for pieces, room in ((few, 60), (many, 120)):
        assert len(pieces) == room
        assert characters <= pieces.keys()
        assert math.fsum(map(math.exp, pieces.values())) == pytest.approx(1)
    counts = np.array(list(words.values()), dtype=float)

    def nats(pieces):
        ids = {piece: i for i, piece in enumerate(pieces)}
        probs = np.exp(np.array(list(pieces.values())))
        return Lattice(list(words), ids, 16).expected(probs, counts)[1]

    assert nats(many) > nats(few)


def test_long_words_are_cut_for_training_alone():
    assert cut_words({"a" * 70: 2, "b": 1}) == {"a" * 32: 4, "a" * 6: 2, "b": 1}
    made = UnigramConfig(vocab_size=20, byte_fallback=False).make(iter(["a" * 70]))
    assert made.decode(made.encode("a" * 99)) == "a" * 99


def test_training_does_not_depend_on_the_process():
    for name in ("bpe", "unigram"):
        first, second = (KINDS[name].make(iter(TEXTS)).definition() for _ in range(2))
        assert json.dumps(first) == json.dumps(second)
