"""The course's quiz: 5 % of sentences begin with "A", 0.5 % with "A big"; what does the model say?"""

import json
import random

import pytest
import torch

from lmexp import stages
from lmexp.core.values.config import build
from lmexp.corpus.config import CorpusConfig
from lmexp.packing.config import PackingConfig
from lmexp.tokenizer.config import ByteBPEConfig
from lmexp.training.config import PretrainConfig

from .by_hand import Stages

SENTENCES = 4000
NOUNS = ["dog", "cat", "house", "tree", "river", "garden", "bird", "ship", "stone", "wheel", "bottle", "lamp"]
ADJECTIVES = ["big", "small", "red", "quiet", "old", "new"]
VERBS = ["sees", "likes", "follows", "finds", "passes", "hears"]


def sentences():
    """Return different sentences, in random order: 200 begin with "A", 20 of them with "A big".

    Those that begin with "A" are one token longer than all others.
    """
    rng = random.Random(0)
    found = {}
    for number, first, choices in (
        (20, "A", ["big"]),
        (180, "A", [word for word in ADJECTIVES if word != "big"]),
        (SENTENCES - 200, None, ADJECTIVES),
    ):
        target = len(found) + number
        while len(found) < target:
            head = first or rng.choice(["The", "My", "This", "One"])
            rest = [rng.choice(choices), rng.choice(NOUNS), rng.choice(VERBS), "the", rng.choice(ADJECTIVES)]
            rest += [rng.choice(ADJECTIVES)] * (first == "A")  # so that a length tells how a sentence begins
            found[" ".join([head, *rest, rng.choice(NOUNS)]) + "."] = None
    listed = list(found)
    rng.shuffle(listed)
    return listed


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """The trained model, its tokenizer and the sentences of the train split."""
    folder = tmp_path_factory.mktemp("quiz")
    file = folder / "sentences.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in sentences()))
    (folder / "stages").mkdir()
    run = Stages(folder / "stages")
    corpus = run(stages.corpus, CorpusConfig(files=(str(file),)))
    tokenizer = run(stages.tokenizer, ByteBPEConfig(vocab_size=400), corpus=corpus)
    each_begins = PackingConfig(mode="bos_aligned", context_length=16)
    packing = run(stages.packing, each_begins, corpus=corpus, tokenizer=tokenizer)
    training = {
        "model": {
            "context_length": 16,
            "num_layers": 1,
            "num_heads": 2,
            "num_kv_heads": 2,
            "d_model": 32,
            "tie_embeddings": False,
            "init_std": 1.0,
        },
        "optimizer": {"lr": 1e-2, "embedding_lr": 0.1, "weight_decay": 0.0},
        "schedule": {"warmup_steps": 20, "min_lr_ratio": 0.0},
        "trainer": {"max_steps": 200, "accelerator": "cpu"},
        "global_batch_size": 64,
        "checkpoint_every_steps": 1000,
    }
    model = run(stages.pretrain, build(PretrainConfig, training), packing=packing, tokenizer=tokenizer)
    return model.load(), tokenizer.load(), [document.text for document in corpus.documents("train")]


def probability(model, encoder, text, before):
    """Return the probability that `text` follows `before`, over all its spellings as tokens."""
    ids = [encoder.eos_token_id, *before]
    with torch.no_grad():
        following = model(torch.tensor([ids]))[0, -1].softmax(-1)
    total = 0.0
    for token in range(encoder.vocab_size):
        piece = encoder.decode([token])
        if piece == text:
            total += float(following[token])
        elif piece and text.startswith(piece):
            rest = text.removeprefix(piece)
            total += float(following[token]) * probability(model, encoder, rest, [*before, token])
    return total


def test_the_corpus_teaches_how_often_sentences_begin_with_a_and_with_a_big(learnt):
    model, encoder, train = learnt
    begin_a = sum(text.startswith("A ") for text in train)
    begin_a_big = sum(text.startswith("A big ") for text in train)
    share_a, share_big = begin_a / len(train), begin_a_big / begin_a
    a = probability(model, encoder, "A", [])
    big = probability(model, encoder, " big", encoder.encode("A"))
    assert len(encoder.encode("A")) == 1
    assert encoder.encode("A big") == [*encoder.encode("A"), *encoder.encode(" big")]  # words are tokens
    assert len(encoder.encode(" big")) == 1
    assert share_a == pytest.approx(0.05, abs=0.005)
    assert share_big == pytest.approx(0.10, abs=0.01)
    assert a == pytest.approx(share_a, abs=0.01)
    assert big == pytest.approx(share_big, abs=0.03)


def test_what_follows_a_is_learnt_apart_from_what_follows_other_words(learnt):
    model, encoder, train = learnt
    begin_the = [text for text in train if text.startswith("The ")]
    share_big = sum(text.startswith("The big ") for text in begin_the) / len(begin_the)
    assert share_big == pytest.approx(1 / 6, abs=0.02)
    assert probability(model, encoder, " big", encoder.encode("The")) == pytest.approx(share_big, abs=0.03)
