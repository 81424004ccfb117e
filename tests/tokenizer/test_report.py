"""The report of a tokenizer: counted as by hand, and no text lost unnoticed."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.tokenizer.config import ByteBPEConfig
from lmexp.tokenizer.encoders import EncodedTexts, choose_encoder
from lmexp.tokenizer.report import RoundTripError, first_changed, tokenizer_report
from lmexp.tokenizer.roles import END_OF_TEXT

CORPUS = [f"def function_{i}(argument):\n    return {i} * argument  # été 😀" for i in range(40)]
HELD_OUT = ["def f():", "", f"naïve {END_OF_TEXT} 😀😀", "return return return", "été"]


@pytest.fixture(scope="module")
def tokenizer():
    return ByteBPEConfig(vocab_size=320).make(iter(CORPUS))


@pytest.fixture(scope="module")
def encoder(tokenizer):
    return choose_encoder(tokenizer, [])


def test_the_figures_are_those_counted_by_hand(tokenizer, encoder):
    batches = [pa.array(HELD_OUT[:2], pa.string()), pa.array(HELD_OUT[2:], pa.string())]
    report = tokenizer_report(tokenizer, encoder, batches)
    ids = [i for text in HELD_OUT for i in tokenizer.encode(text)]
    num_bytes = sum(len(text.encode()) for text in HELD_OUT)
    assert report["texts"] == 5
    assert report["bytes"] == num_bytes
    assert report["tokens"] == len(ids)
    assert report["bytes_per_token"] == num_bytes / len(ids)
    assert report["unused_tokens"] == 319 - len(set(ids))
    assert report["vocab_used"] == pytest.approx(len(set(ids)) / 319)
    longest = report["longest_tokens"]
    assert len(longest) == 20
    assert longest[0]["bytes"] == max(len(tokenizer.decode([i]).encode()) for i in range(257, 320))
    for row in longest:
        assert row["text"] == tokenizer.decode([row["id"]])


@given(st.lists(st.text(max_size=30), min_size=1, max_size=6))
@settings(max_examples=100, deadline=None)
def test_the_bytes_of_tokens_are_what_the_decoder_gives(tokenizer, encoder, texts):
    array = pa.array(texts, pa.string())
    encoded = encoder.encode(array)
    assert first_changed(tokenizer, array, encoded) is None
    contents = tokenizer.token_contents
    ends = encoded.num_tokens.cumsum()[:-1]
    for text, ids in zip(texts, np.split(encoded.ids, ends), strict=True):
        assert b"".join(contents[i] for i in ids).decode() == tokenizer.decode(ids) == text
    assert tokenizer.token_bytes.tolist() == [len(content) for content in contents]


@given(st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=6), st.data())
@settings(max_examples=100, deadline=None)
def test_any_changed_document_is_found(tokenizer, encoder, texts, data):
    array = pa.array(texts, pa.string())
    good = encoder.encode(array)
    place = data.draw(st.integers(0, len(good.ids) - 1))
    document = int(np.searchsorted(good.num_tokens.cumsum(), place, side="right"))
    ids, num_tokens = good.ids.copy(), good.num_tokens.copy()
    if data.draw(st.booleans()):
        ids[place] = 1 + ids[place] % 256  # a byte, and another one than before
    else:
        ids = np.delete(ids, place)
        num_tokens[document] -= 1
    assert first_changed(tokenizer, array, EncodedTexts(ids, num_tokens, good.num_bytes)) == document


def test_a_lost_text_is_an_error_with_its_place(tokenizer, encoder, monkeypatch):
    good = encoder.encode

    def lossy(texts):
        found = good(texts)
        broken = [text.as_py() == "return return return" for text in texts]
        ids = found.ids.copy()
        if True in broken:
            ids[int(found.num_tokens.cumsum()[broken.index(True)]) - 1] = 5
        return EncodedTexts(ids, found.num_tokens, found.num_bytes)

    monkeypatch.setattr(encoder, "encode", lossy)
    batches = [pa.array(HELD_OUT[:2], pa.string()), pa.array(HELD_OUT[2:], pa.string())]
    with pytest.raises(RoundTripError, match="Text 3 is not what its tokens decode to") as caught:
        tokenizer_report(tokenizer, encoder, batches)
    assert caught.value.index == 3
