"""What a training needs of the splits is said as soon as earlier stages have counted it."""

import pytest

from lmexp.core.graph.stage import Upstream
from lmexp.errors import DataError
from lmexp.packing.config import PackingConfig
from lmexp.training.needs import check_inputs
from tests.training.pretrain_runs import noise, tiny, train

VALIDATED = {"validation_every_steps": 5}


def upstream(mode="concatenate", corpus=None, packing=None):
    """What stands above a training whose samples have 8 tokens."""
    config = PackingConfig(mode=mode, context_length=None if mode == "concatenate" else 8)
    return {
        "corpus": Upstream(config=None, metrics=corpus),
        "packing": Upstream(config=config, metrics=packing),
    }


def packed(train, validation, rows=None):
    counts = {"train/tokens": train, "validation/tokens": validation}
    return counts if rows is None else {**counts, "train/rows": rows[0], "validation/rows": rows[1]}


def texts(train, validation, documents=2):
    return {
        "train/bytes": train,
        "train/documents": documents,
        "validation/bytes": validation,
        "validation/documents": documents,
    }


@pytest.mark.parametrize(
    ("above", "sentence"),
    [
        (
            upstream(packing=packed(100, 8)),
            r"the validation split holds 8 tokens and is too small for one sample of model\.context_length "
            r"\(8\) \+ 1 tokens; give more text, raise corpus\.validation_fraction, set "
            r"validation_every_steps=null or lower model\.context_length\.$",
        ),
        (upstream(packing=packed(8, 100)), r"the train split holds 8 tokens .*lower corpus\.validation_frac"),
        (
            upstream("bos_aligned", packing=packed(100, 7, rows=(9, 0))),
            r"the validation split holds 7 tokens and does not fill one row of model\.context_length \(8\)",
        ),
        (
            upstream(corpus=texts(100, 6)),
            r"the validation split holds 6 bytes in 2 documents, so at most 8 tokens and is too small",
        ),
        (
            upstream("bos_aligned", corpus=texts(100, 5)),
            r"holds 5 bytes .* does not fill one row",
        ),
        (upstream(corpus=texts(6, 100)), "the train split holds 6 bytes"),
        (upstream(corpus=texts(100, 7, documents=1)), "holds 7 bytes in 1 document, so at most 8 tokens"),
    ],
)
def test_a_split_without_one_sample_is_named_with_the_keys_that_help(above, sentence):
    with pytest.raises(DataError, match=sentence):
        check_inputs(tiny(**VALIDATED), above)


@pytest.mark.parametrize(
    "above",
    [
        {},
        upstream(),
        upstream(packing=packed(9, 9)),
        upstream("bos_aligned", packing=packed(8, 8, rows=(1, 1))),
        upstream(corpus=texts(7, 7)),
        upstream("bos_aligned", corpus=texts(6, 6)),
        upstream("best_fit", corpus=texts(1, 1)),  # a row of its own, padded
        upstream(corpus=texts(1, 1), packing=packed(9, 9)),
    ],
)
def test_what_may_succeed_is_not_refused(above):
    check_inputs(tiny(**VALIDATED, train_samples=1), above)


def test_a_split_that_is_not_read_may_be_empty():
    check_inputs(tiny(), upstream(packing=packed(100, 1)))


def test_more_train_samples_than_there_are_are_refused_early_and_by_the_training_itself(tmp_path):
    sentence = r"train_samples \(13\) must be at most the 12 samples of the train split"
    with pytest.raises(DataError, match=sentence):
        check_inputs(tiny(train_samples=13), upstream(packing=packed(97, 9)))
    with pytest.raises(DataError, match=sentence):
        check_inputs(tiny(train_samples=13), upstream(corpus=texts(95, 0)))
    with pytest.raises(DataError, match=sentence):
        train(tiny(train_samples=13), tmp_path, tokens=noise(97))
    check_inputs(tiny(train_samples=12), upstream(packing=packed(97, 9)))


def test_training_says_what_it_trains_before_its_first_point(tmp_path):
    told = []
    result = train(tiny(train_samples=40), tmp_path, say=told.append, log=told.append)
    assert told[0] == f"trains {result.model.num_parameters:,} parameters on 40 samples"
    assert told[1] == "does not compile, since what it saves on cpu in 64-true was not measured"
    assert [point["step"] for point in told[2:]] == list(range(1, 13))
