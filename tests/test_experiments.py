"""Every shipped experiment composes, and its identity changes only on purpose."""

import pytest

from lmexp.core.graph.compose import compose
from lmexp.core.provenance.own import shipped
from lmexp.core.values.fingerprint import digest

EXPERIMENTS = sorted(p.stem for p in shipped("conf").glob("experiment/*.yaml"))
DEBUG = sorted(p.stem for p in shipped("conf").glob("debug/*.yaml"))

PINNED: dict[str, dict[str, str]] = {
    "awd_lstm": {
        "corpus": "dcfbda7c728f",
        "tokenizer": "8273c5856e9a",
        "packing": "e28a9bd318c2",
        "pretrain": "880b1e81d71f",
        "perplexity": "5609485353ca",
        "baseline": "9a29f5d6ac86",
        "prompts": "e18358d35e89",
        "samples": "9f867e08e2dc",
    },
    "gpt2_124m": {
        "corpus": "efd7980328fe",
        "tokenizer": "49c68554d4e6",
        "packing": "e28a9bd318c2",
        "pretrain": "359b42c80898",
        "perplexity": "e258ff570e35",
        "baseline": "9a29f5d6ac86",
        "prompts": "7c4251c021d2",
        "samples": "9f867e08e2dc",
    },
    "in_context": {
        "corpus": "e4d9b2f956f9",
        "tokenizer": "e10f76156f9c",
        "packing": "e28a9bd318c2",
        "pretrain": "264a6193aaa7",
        "perplexity": "560f182809ab",
        "baseline": "9a29f5d6ac86",
        "prompts": "0a5bc3fffcd4",
        "samples": "2a6d7cb77d8b",
    },
    "known": {
        "corpus": "df29dd5c89e4",
        "tokenizer": "63a33ec1ca7c",
        "packing": "e28a9bd318c2",
        "pretrain": "76bd69e11848",
        "perplexity": "01229c9af762",
        "baseline": "9a29f5d6ac86",
        "prompts": "e18358d35e89",
        "samples": "9f867e08e2dc",
    },
    "ptb_lstm_medium": {
        "corpus": "dcfbda7c728f",
        "tokenizer": "8273c5856e9a",
        "packing": "e28a9bd318c2",
        "pretrain": "47903a10c46b",
        "perplexity": "5609485353ca",
        "baseline": "9a29f5d6ac86",
        "prompts": "e18358d35e89",
        "samples": "9f867e08e2dc",
    },
    "leaderboard": {
        "corpus": "4ddcebe55b2e",
        "tokenizer": "b10547833e54",
        "packing": "e28a9bd318c2",
        "bigram": "9a29f5d6ac86",
        "perplexity_bigram": "ecc5f5c67480",
        "audit_bigram": "488508473bae",
        "size_bigram": "0ba3fa7714df",
        "samples_bigram": "dff2fca13e2c",
        "diffusion": "786a2a89684d",
        "perplexity_diffusion": "ecc5f5c67480",
        "audit_diffusion": "488508473bae",
        "size_diffusion": "0ba3fa7714df",
        "samples_diffusion": "dff2fca13e2c",
        "encoder": "030a74e501b0",
        "gpt": "721c9e82c04d",
        "perplexity_gpt": "ecc5f5c67480",
        "audit_gpt": "488508473bae",
        "size_gpt": "0ba3fa7714df",
        "samples_gpt": "dff2fca13e2c",
        "gru": "973fbedd8c82",
        "perplexity_gru": "ecc5f5c67480",
        "audit_gru": "488508473bae",
        "size_gru": "0ba3fa7714df",
        "samples_gru": "dff2fca13e2c",
        "lstm": "667cb58f6f16",
        "perplexity_lstm": "ecc5f5c67480",
        "audit_lstm": "488508473bae",
        "size_lstm": "0ba3fa7714df",
        "samples_lstm": "dff2fca13e2c",
        "mlp": "0d437a325f0c",
        "perplexity_mlp": "ecc5f5c67480",
        "audit_mlp": "488508473bae",
        "size_mlp": "0ba3fa7714df",
        "samples_mlp": "dff2fca13e2c",
        "ngram5": "be64be58cc0e",
        "perplexity_ngram5": "ecc5f5c67480",
        "audit_ngram5": "488508473bae",
        "size_ngram5": "0ba3fa7714df",
        "samples_ngram5": "dff2fca13e2c",
        "ngram5_cache": "4ccc506e40a8",
        "perplexity_ngram5_cache": "ecc5f5c67480",
        "audit_ngram5_cache": "488508473bae",
        "size_ngram5_cache": "0ba3fa7714df",
        "samples_ngram5_cache": "dff2fca13e2c",
        "rnn": "4687eece78bf",
        "perplexity_rnn": "ecc5f5c67480",
        "audit_rnn": "488508473bae",
        "size_rnn": "0ba3fa7714df",
        "samples_rnn": "dff2fca13e2c",
        "unigram": "fbc514a4ceb3",
        "perplexity_unigram": "ecc5f5c67480",
        "audit_unigram": "488508473bae",
        "size_unigram": "0ba3fa7714df",
        "samples_unigram": "dff2fca13e2c",
    },
    "small_gpt": {
        "corpus": "4ddcebe55b2e",
        "tokenizer": "98cdd49a9fd9",
        "packing": "e28a9bd318c2",
        "pretrain": "86a711970b1c",
        "perplexity": "01229c9af762",
        "baseline": "9a29f5d6ac86",
        "prompts": "e18358d35e89",
        "samples": "9f867e08e2dc",
    },
    "tiny": {
        "corpus": "4ddcebe55b2e",
        "tokenizer": "e41413f24cae",
        "packing": "e28a9bd318c2",
        "pretrain": "bfa0663a48fc",
        "perplexity": "d5bedc419987",
        "baseline": "9a29f5d6ac86",
        "prompts": "17cdb5cd9e9d",
        "samples": "9f867e08e2dc",
    },
}


GIVEN = ("awd_lstm", "ptb_lstm_medium")
"""Experiments for files that their user gives, one a split."""


@pytest.fixture
def given(tmp_path):
    """Return what to say besides an experiment's name: nothing, or files that are always the same."""
    words = []
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.txt").write_text(f"a text of words to {split} on\n")
        words.append(f"corpus.sources.{split}.files=[{tmp_path / split}.txt]")
    return lambda experiment: words if experiment in GIVEN else []


def identities(overrides):
    handles = compose(overrides).handles
    return {name: digest([h.stage.name, h.stage.version, h.identity()])[:12] for name, h in handles.items()}


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_identity_of_a_shipped_experiment_is_pinned(experiment, given):
    assert identities([f"+experiment={experiment}", *given(experiment)]) == PINNED[experiment]


@pytest.mark.parametrize("debug", DEBUG)
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_debug_preset_composes_with_every_experiment(debug, experiment, given):
    assert (
        identities([f"+experiment={experiment}", f"+debug={debug}", *given(experiment)]) != PINNED[experiment]
    )


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_file_says_what_it_is_for(experiment):
    lines = (shipped("conf") / "experiment" / f"{experiment}.yaml").read_text().splitlines()
    assert lines[0] == "# @package _global_"
    head = "\n".join(line for line in lines[:25] if line.startswith("#"))
    for word in ("Hypothesis:", "Command:", "Duration:", "Result:"):
        assert word in head, f"{experiment}.yaml does not state its {word}"


def test_an_audit_and_sizes_are_added_on_request_and_change_nothing_else():
    found = identities(["+experiment=tiny", "+audit=default", "+size=default"])
    assert (found.pop("audit"), found.pop("size")) == ("488508473bae", "c045fc1907a8")
    assert found == PINNED["tiny"]
