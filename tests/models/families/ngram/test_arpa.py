"""ARPA files: what they list by an obvious reader, what is read back, and what KenLM makes of them."""

import gzip
import math

import numpy as np
import pytest

from lmexp.errors import DataError
from lmexp.models.families.ngram import NGramConfig
from lmexp.models.families.ngram.arpa_reading import read_arpa
from lmexp.models.families.ngram.arpa_writing import write_arpa
from lmexp.models.families.ngram.model import NGram
from tests.models.families.ngram.slow import arrays
from tests.models.families.ngram.test_model import english

__all__ = ["english"]

INTERPOLATED = ("modified_kneser_ney", "kneser_ney", "absolute_discounting", "jelinek_mercer")


def fitted(documents, vocab_size, order, smoothing="modified_kneser_ney"):
    return NGram.fit(
        NGramConfig(order=order, smoothing=smoothing), arrays(documents, 0), vocab_size, bos_token_id=0
    )


def names(vocab_size):
    return ["ends", "<unk>", *(f"w{i}" for i in range(2, vocab_size))]


def listed(path):
    """The file as two dictionaries, by the words of each n-gram."""
    probs, backs = {}, {}
    for line in path.read_text(encoding="utf-8").splitlines():
        parts = line.split("\t")
        if len(parts) > 1:
            probs[tuple(parts[1].split())] = float(parts[0])
            backs[tuple(parts[1].split())] = float(parts[2]) if len(parts) > 2 else 0.0
    return probs, backs


def log10_of(probs, backs, context, word):
    """Katz's recursion, read off."""
    if (*context, word) in probs:
        return probs[*context, word]
    return backs.get(context, 0.0) + log10_of(probs, backs, context[1:], word)


@pytest.mark.parametrize("smoothing", INTERPOLATED)
@pytest.mark.parametrize("order", [1, 2, 4])
def test_the_file_gives_the_models_scores_by_the_recursion_and_is_read_back(
    tmp_path, english, order, smoothing
):
    documents, vocab_size = english
    model, words, path = (
        fitted(documents[::2], vocab_size, order, smoothing),
        names(vocab_size),
        tmp_path / "a",
    )
    write_arpa(model, words, path)
    probs, backs = listed(path)
    held_out = documents[1:60:2]
    scores = model.score([((), [*document, 0]) for document in held_out], 0)
    for document, found in zip(held_out, scores, strict=True):
        text = ["<s>", *(words[i] for i in document), "</s>"]
        expected = [
            log10_of(probs, backs, tuple(text[max(i - order + 1, 0) : i]), text[i])
            for i in range(1, len(text))
        ]
        np.testing.assert_allclose(found / math.log(10), expected, atol=1e-6)
    again = read_arpa(path)
    assert again.words == ["</s>", *words[1:]]
    for one, other in zip(scores, again.score([((), [*d, 0]) for d in held_out], 0), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    contexts = np.random.default_rng(0).integers(0, vocab_size, (50, order - 1))
    np.testing.assert_allclose(model.distribution(contexts), again.distribution(contexts), atol=1e-6)


def test_the_files_of_one_model_are_equal_to_the_byte_compressed_or_not(tmp_path, english):
    model = fitted(*english, 3)
    write_arpa(model, names(english[1]), tmp_path / "a.arpa")
    write_arpa(model, names(english[1]), tmp_path / "a.arpa.gz")
    assert gzip.decompress((tmp_path / "a.arpa.gz").read_bytes()) == (tmp_path / "a.arpa").read_bytes()
    contexts = np.array([[0, 5], [3, 4]])
    plain, packed = (read_arpa(tmp_path / name).distribution(contexts) for name in ("a.arpa", "a.arpa.gz"))
    np.testing.assert_array_equal(plain, packed)


HAND = """\
made by hand

\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-99 <s> -0.30103
-0.30103\t</s>
-0.60206\ta\t-1
-0.60206\tb

\\2-grams:
-0.1 <s> a
-0.2 a </s>

\\end\\
"""


def test_a_file_of_another_writer_is_read_by_its_words(tmp_path):
    path = tmp_path / "hand.arpa"
    path.write_text(HAND)
    model = read_arpa(path)
    assert model.words == ["</s>", "a", "b"]
    (scores,) = model.score([((), [1, 0])], 0)
    np.testing.assert_allclose(scores / math.log(10), [-0.1, -0.2])
    (scores,) = model.score([((), [2, 1, 1])], 0)  # backs off after <s>, after b, which has 0, and after a
    np.testing.assert_allclose(scores / math.log(10), [-0.30103 - 0.60206, -0.60206, -1.60206])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\data\\", "data", "after .data.; is it an ARPA file"),
        ("ngram 2=2", "ngram 3=2", "line 5 must be 'ngram 2='"),
        ("ngram 2=2", "ngram 2=3", "must be a number, 2 words"),
        ("ngram 2=2", "ngram 2=1", r"must be .end., is '-0.2 a </s>'"),
        ("-0.2 a </s>", "-0.2 c </s>", "with 'c', which is no unigram"),
        ("-0.2 a </s>", "-0.1 <s> a", "'<s> a' twice"),
        ("-0.2 a </s>", "0.2 a </s>", "must be log10 p <= 0"),
        ("-0.2 a </s>", "x a </s>", "line 15 must be a number"),
        ("-0.2 a </s>", "-0.2 </s> a", "<s> begins, </s> ends"),
        ("-99 <s> -0.30103", "-99 d", "lacks <s> or </s>"),
        ("\\2-grams:", "\\3-grams:", "must be .2-grams:"),
        ("\n\\end\\\n", "", "must be .end., is ''"),
    ],
)
def test_a_damaged_file_is_a_sentence(tmp_path, old, new, message):
    path = tmp_path / "a.arpa"
    path.write_text(HAND.replace(old, new))
    with pytest.raises(DataError, match=message):
        read_arpa(path)


def test_files_that_are_no_text_or_cut_short_are_sentences(tmp_path, english):
    path = tmp_path / "a.gz"
    write_arpa(fitted(*english, 2), names(english[1]), path)
    for damaged in (path.read_bytes()[:-2000], b"\xff\xfe\x00", b"\x1f\x8bno"):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="cannot be read as an ARPA file"):
            read_arpa(path)
    with pytest.raises(DataError, match="cannot be read as an ARPA file"):
        read_arpa(tmp_path / "none")


def test_a_context_that_is_not_listed_is_a_sentence(tmp_path):
    path = tmp_path / "a.arpa"
    path.write_text(
        HAND.replace("ngram 2=2", "ngram 2=2\nngram 3=1").replace(
            "\\end", "\\3-grams:\n-0.1 b a </s>\n\n\\end"
        )
    )
    with pytest.raises(DataError, match="'b a </s>'; its first 2 words are not listed"):
        read_arpa(path)


def test_what_the_format_cannot_hold_is_a_sentence(tmp_path, english):
    documents, vocab_size = english
    words = names(vocab_size)
    for kind in ("add_k", "maximum_likelihood", "stupid_backoff"):
        with pytest.raises(DataError, match=f"smoothing={kind} is none"):
            write_arpa(fitted(documents, vocab_size, 2, kind), words, tmp_path / "a")
    model = fitted(documents, vocab_size, 2)
    for bad, message in (("w3", "'w3' stands for two ids"), ("<s>", "'<s>' stands"), ("a b", "white space")):
        with pytest.raises(DataError, match=message):
            write_arpa(model, [*words[:-1], bad], tmp_path / "a")
    with pytest.raises(DataError, match="was given 1 words"):
        write_arpa(model, ["a"], tmp_path / "a")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_kenlm_reads_the_file_and_gives_the_models_scores(tmp_path, english, order):
    kenlm = pytest.importorskip("kenlm")
    documents, vocab_size = english
    model, words, path = fitted(documents[::2], vocab_size, order), names(vocab_size), tmp_path / "a.arpa"
    write_arpa(model, words, path)
    reader = kenlm.Model(str(path))
    for document in documents:
        (scores,) = model.score([((), [*document, 0])], 0)
        found = reader.full_scores(" ".join(words[i] for i in document))
        np.testing.assert_allclose([log10 for log10, *_ in found], scores / math.log(10), atol=1e-4)
