"""Filling gaps: the distribution of the random order, the greedy path of confidence, and what is given."""

import itertools
import math
from collections import Counter

import pytest
import torch

import lmexp
from lmexp import cli
from lmexp.errors import ConfigError, DataError
from lmexp.generation.config import SamplingConfig
from lmexp.generation.generate import generate_text, generate_texts
from lmexp.generation.unmask import unmask
from lmexp.models.build import build_model
from lmexp.models.families import DiffusionConfig, GPTConfig
from lmexp.models.folder import save_network
from lmexp.tokenizer.config import ByteConfig
from lmexp.tokenizer.export import export_tokenizer

BYTES = ByteConfig().make(iter(()))


def awake(vocab_size, context_length=12):
    config = DiffusionConfig(
        context_length=context_length, num_layers=1, num_heads=2, num_kv_heads=1, d_model=8
    )
    model = build_model(config, vocab_size, seed=1).requires_grad_(False)
    generator = torch.Generator().manual_seed(2)
    for parameter in model.parameters():
        parameter.normal_(std=0.7, generator=generator)
    return model


@pytest.fixture
def passes(monkeypatch):
    """The ids of each pass of a model, [T]."""

    def watch(model):
        read, seen = model.hidden_states, []
        monkeypatch.setattr(
            model, "hidden_states", lambda ids, **more: seen.append(ids[0].tolist()) or read(ids, **more)
        )
        return seen

    return watch


def test_in_random_order_one_token_a_pass_draws_the_mean_over_all_orders():
    model, n, before, after = awake(4), 3, [0], [2]
    expected = Counter()
    for text in itertools.product(range(3), repeat=n):
        for order in itertools.permutations(range(n)):
            ids, probability = torch.tensor([[*before, *[3] * n, *after]]), 1 / math.factorial(n)
            for place in order:
                logits = model(ids)[0, place + 1]
                probability *= float(logits.softmax(dim=-1)[text[place]])
                ids[0, place + 1] = text[place]
            expected[text] += probability
    assert sum(expected.values()) == pytest.approx(1, abs=1e-5)
    rounds, config = 800, SamplingConfig(max_new_tokens=n, order="random")
    found = Counter(
        tuple(unmask(model, before, after, config, seed=seed, vocab_size=4)) for seed in range(rounds)
    )
    chi_square = sum((found[text] - rounds * p) ** 2 / (rounds * p) for text, p in expected.items())
    assert chi_square < 26 + 4 * math.sqrt(2 * 26)


@pytest.mark.parametrize("steps", [None, 3, 1])
def test_by_confidence_the_surest_are_told_first_and_read_by_the_others(passes, steps):
    model, n, before, after = awake(6), 7, [0, 4], [2, 1]
    config = SamplingConfig(max_new_tokens=n, temperature=0, steps=steps)
    ids, left, told = [*before, *[5] * n, *after], set(range(2, 2 + n)), 0
    for done in range(steps or n):
        probabilities = model(torch.tensor([ids]))[0].softmax(dim=-1)
        share = n * (done + 1) // (steps or n) - told
        for place in sorted(left, key=lambda i: -float(probabilities[i].max()))[:share]:
            ids[place] = int(probabilities[place].argmax())
            left.remove(place)
        told += share
    seen = passes(model)
    assert unmask(model, before, after, config, seed=0, vocab_size=6) == ids[2 : 2 + n]
    assert len(seen) == (steps or n)


@pytest.mark.parametrize("order", ["confidence", "random"])
def test_what_is_given_is_read_in_each_pass_and_never_changed(passes, order):
    model, before, after = awake(9), [3, 1, 4], [1, 5]
    seen = passes(model)
    config = SamplingConfig(max_new_tokens=6, order=order, steps=4)
    written = unmask(model, before, after, config, seed=3, vocab_size=8, never={0, 7})
    assert len(written) == 6
    assert not set(written) & {0, 7, 8}, "neither an end of text nor the mask"
    assert all(ids[:3] == before and ids[-2:] == after for ids in seen)
    hidden = [sum(token == 8 for token in ids) for ids in seen]
    assert hidden == [6, 5, 3, 2], "6 tokens in 4 passes: 1, 2, 1 and 2"


def test_a_text_longer_than_the_context_is_written_in_blocks_that_see_what_stands_before(passes):
    model = awake(9)
    seen = passes(model)
    written = unmask(model, [1], [], SamplingConfig(max_new_tokens=20), seed=0, vocab_size=8)
    assert (len(written), len(seen)) == (20, 20)
    assert [len(ids) for ids in seen] == [7] * 6 + [12] * 14
    assert seen[0] == [1, *[8] * 6]
    assert seen[6] == [*written[:6], *[8] * 6]
    assert seen[18][:10] == written[8:18]


def test_a_suffix_that_leaves_no_room_is_refused_and_one_of_a_model_that_fills_no_gaps():
    model = awake(258)
    with pytest.raises(DataError, match=r"reads 12 tokens at once, .*\(2\), .*\(4\) .*\(8\) .* shorten one"):
        generate_text(model, BYTES, "ab", SamplingConfig(max_new_tokens=8, suffix="wxyz"))
    gpt = build_model(GPTConfig(context_length=8, num_layers=1, num_heads=1, num_kv_heads=1, d_model=8), 257)
    with pytest.raises(ConfigError, match=r"suffix must be valid Unicode, was '.udc80'"):
        SamplingConfig(suffix="\udc80")
    with pytest.raises(DataError, match=r"suffix cannot use this model, of the family qwen3: .* fill gaps"):
        generate_text(gpt, BYTES, "ab", SamplingConfig(suffix="z"))


def test_texts_are_those_that_each_would_be_alone_and_stop_where_they_should():
    model = awake(258)
    config = SamplingConfig(max_new_tokens=6, seed=4)
    texts = generate_texts(model, BYTES, ["", "ab", "abc"], config)
    for i, (prompt, text) in enumerate(zip(["", "ab", "abc"], texts, strict=True)):
        assert generate_text(model, BYTES, prompt, SamplingConfig(max_new_tokens=6, seed=4 + i)) == text
    assert texts[1][:2] != texts[1][2:4]
    stopped = SamplingConfig(max_new_tokens=6, seed=5, stop=(texts[1][3],))
    first = texts[1].index(texts[1][3], len(texts[1]) - len(texts[1].lstrip()))
    assert generate_text(model, BYTES, "ab", stopped) == texts[1][:first]


def test_generate_fills_a_gap_on_the_command_line_as_it_does_in_python(tmp_path, capsys):
    model = awake(258, context_length=24)
    save_network(model, tmp_path / "model", eos_token_id=BYTES.eos_token_id)
    BYTES.save(tmp_path / "tokenizer")
    files = sorted((tmp_path / "tokenizer").iterdir())
    export_tokenizer(files, tmp_path / "model", model_max_length=24)
    words = ["max_new_tokens=5", "order=random", "steps=2", "suffix=12", "--prompt", "a"]
    assert cli.main(["generate", str(tmp_path / "model"), *words]) == 0
    printed = capsys.readouterr().out
    given = {"max_new_tokens": 5, "order": "random", "steps": 2, "suffix": "12"}
    assert printed == lmexp.generate(model, BYTES, "a", **given) + "\n"
