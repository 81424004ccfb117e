"""The folder of an n-gram model: the same model to the last bit, or a sentence."""

import json
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from lmexp.errors import DataError
from lmexp.models.families.ngram import NGramConfig
from lmexp.models.families.ngram.folder import CONFIG, WEIGHTS, load, save
from lmexp.models.families.ngram.model import NGram

V, BOS = 6, 0


def fitted(order, **settings):
    rng = np.random.default_rng(order)
    documents = [np.array([BOS, *rng.integers(1, V - 1, 30)]) for _ in range(4)]
    return NGram.fit(NGramConfig(order=order, **settings), documents, V, BOS)


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"smoothing": "modified_kneser_ney"},
        {"smoothing": "jelinek_mercer"},
        {"smoothing": "add_k", "k": 0.1},
        {"smoothing": "stupid_backoff", "backoff": 0.3},
    ],
)
def test_a_saved_model_is_read_back_to_the_last_bit(tmp_path, order, settings):
    model = fitted(order, **settings)
    save(model, tmp_path / "a")
    same = load(tmp_path / "a")
    save(same, tmp_path / "b")
    for name in (CONFIG, WEIGHTS):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    contexts = np.random.default_rng(0).integers(-1, V, (200, order - 1))
    np.testing.assert_array_equal(model.distribution(contexts), same.distribution(contexts))
    assert (same.config, same.vocab_size, same.bos_token_id) == (model.config, V, BOS)


def test_an_order_that_no_document_is_long_enough_for_is_read_back(tmp_path):
    save(NGram.fit(NGramConfig(order=5), [np.array([BOS, 1])], V, BOS), tmp_path)
    assert load(tmp_path).log_probs(np.array([[1, 2, 3, 4]]), np.array([1])).shape == (1,)


def swapped(array):
    result = array.copy()
    result[[0, 1]] = result[[1, 0]]
    return result


def replaced(place, value):
    def change(array):
        result = array.copy()
        result[place] = value
        return result

    return change


DAMAGED_ARRAYS = {
    "keys out of order": ("keys.3", swapped, "do not ascend at place 1"),
    "a key twice": ("keys.2", lambda a: replaced(1, a[0])(a), "do not ascend at place 1"),
    "a negative key": ("keys.3", replaced(0, -1), r"from -1 to"),
    "a key past the contexts": ("keys.3", replaced(-1, 10**6), r"to 1000000; with \d+ contexts and 6 ids"),
    "a key at the limit": ("keys.2", replaced(-1, V * V), r"to 36; with 6 contexts and 6 ids"),
    "no count": ("counts.2", replaced(3, 0), r"counts.2 from 0 to \d+; each must be at least 1"),
    "a negative count of a token": ("tokens", replaced(1, -4), "tokens from -4 to"),
    "no token at all": ("tokens", np.zeros_like, "counts no token"),
    "counts past all texts": ("counts.3", replaced(0, 2**62), r"below 2\^53"),
    "counts that overflow together": ("counts.3", lambda a: np.full_like(a, 2**62), r"below 2\^53"),
    "another vocabulary": (
        "tokens",
        lambda a: a[1:],
        "counts 5 tokens, and .* vocab_size=6",
    ),
    "fewer counts than keys": ("counts.3", lambda a: a[1:], r"\d+ keys.3 and \d+ counts.3"),
    "floats": ("counts.3", lambda a: a.astype(np.float64), "counts.3 as F64"),
    "32 bits": ("keys.2", lambda a: a.astype(np.int32), "keys.2 as I32"),
    "two axes": ("keys.2", lambda a: a[:, None], r"of shape \[\d+, 1\]"),
}


@pytest.mark.parametrize(("name", "change", "message"), DAMAGED_ARRAYS.values(), ids=DAMAGED_ARRAYS.keys())
def test_a_damaged_array_is_a_sentence(tmp_path, name, change, message):
    save(fitted(3), tmp_path)
    arrays = load_file(tmp_path / WEIGHTS)
    arrays[name] = np.ascontiguousarray(change(arrays[name]))
    save_file(arrays, tmp_path / WEIGHTS)
    with pytest.raises(DataError, match=message):
        load(tmp_path)


def test_a_missing_and_an_unknown_array_are_sentences(tmp_path):
    save(fitted(3), tmp_path)
    arrays = load_file(tmp_path / WEIGHTS)
    save_file({k: v for k, v in arrays.items() if k != "keys.3"}, tmp_path / WEIGHTS)
    with pytest.raises(DataError, match=r"lacks the array keys\.3"):
        load(tmp_path)
    save_file(arrays | {"keys.4": arrays["keys.3"]}, tmp_path / WEIGHTS)
    with pytest.raises(DataError, match=r"holds the unknown array keys\.4"):
        load(tmp_path)


def test_n_grams_over_a_documents_border_are_refused(tmp_path):
    save(fitted(3), tmp_path)
    values = json.loads((tmp_path / CONFIG).read_text())
    (tmp_path / CONFIG).write_text(json.dumps(values | {"bos_token_id": 2}))
    with pytest.raises(DataError, match="3-grams that go on after the token 2"):
        load(tmp_path)


DAMAGED_CONFIGS = {
    "another family": ({"family": "gpt"}, "of the family 'gpt'"),
    "a later format": ({"format": 2}, "of format 2"),
    "a format that is no number": ({"format": True}, "of format True"),
    "an unknown key": ({"dtype": "float32"}, "unknown key 'dtype'"),
    "an unknown setting": ({"model": {"order": 3, "smoothing": "kneser_ney", "cut": 1}}, "model.cut is not"),
    "a missing setting": ({"model": {"order": 3}}, "lacks the key 'model.smoothing'"),
    "an order out of range": ({"model": {"order": 0, "smoothing": "kneser_ney"}}, "no valid n-gram"),
    "weights of another smoothing": ({"interpolation_weights": [0.5]}, "0 numbers from 0 to 1 belong there"),
    "no weights": ({"model": {"order": 3, "smoothing": "jelinek_mercer"}}, r"=\[\]; 3 numbers from 0 to 1"),
    "no settings": ({"model": [3]}, "must hold a JSON object as model"),
    "a vocabulary of none": ({"vocab_size": 0}, "vocab_size=0"),
    "a vocabulary of text": ({"vocab_size": "6"}, "vocab_size='6'"),
    "a bos outside": ({"bos_token_id": 6}, "bos_token_id=6; it must be an integer from 0 to 5"),
    "another order": ({"model": {"order": 4, "smoothing": "kneser_ney"}}, "lacks the array counts.4"),
}


@pytest.mark.parametrize(("changes", "message"), DAMAGED_CONFIGS.values(), ids=DAMAGED_CONFIGS.keys())
def test_a_damaged_config_is_a_sentence(tmp_path, changes, message):
    save(fitted(3), tmp_path)
    values = json.loads((tmp_path / CONFIG).read_text())
    (tmp_path / CONFIG).write_text(json.dumps(values | changes))
    with pytest.raises(DataError, match=message):
        load(tmp_path)


def test_missing_cut_and_foreign_files_are_sentences(tmp_path):
    with pytest.raises(DataError, match=r"holds no config\.json"):
        load(tmp_path)
    save(fitted(3), tmp_path)
    whole = (tmp_path / WEIGHTS).read_bytes()
    for damaged in (whole[:-5], whole[:4], b"", b"\x80\x04pickle"):
        (tmp_path / WEIGHTS).write_bytes(damaged)
        with pytest.raises(DataError, match="not a readable safetensors file"):
            load(tmp_path)
    (tmp_path / WEIGHTS).unlink()
    (tmp_path / WEIGHTS).symlink_to("/etc/hostname")
    with pytest.raises(DataError, match="out of its folder"):
        load(tmp_path)
    values = json.loads((tmp_path / CONFIG).read_text())
    del values["vocab_size"]
    (tmp_path / CONFIG).write_text(json.dumps(values))
    (tmp_path / WEIGHTS).unlink()
    (tmp_path / WEIGHTS).write_bytes(whole)
    with pytest.raises(DataError, match="lacks the key 'vocab_size'"):
        load(tmp_path)


def test_an_n_gram_needs_no_torch():
    code = "import sys, lmexp.models.families.ngram.folder; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
