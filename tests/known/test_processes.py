"""Known processes: exact entropies against enumeration and hand-solved cases, draws against probabilities."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.core.values.config import replace
from lmexp.errors import ConfigError, DataError
from lmexp.known.build import build_process, draw_texts
from lmexp.known.config import ProcessConfig
from lmexp.known.grammar import Grammar
from lmexp.known.hidden_markov import HiddenMarkovModel
from lmexp.known.markov import MarkovChain
from lmexp.known.process import draw_line, entropy_bits_per_byte, log_probs

SMALL = [
    ProcessConfig(process="markov", num_symbols=3, order=2, line_length=5, seed=1),
    ProcessConfig(process="markov", num_symbols=4, order=0, line_length=4, seed=2),
    ProcessConfig(process="hidden_markov", num_symbols=3, num_states=3, line_length=5, seed=3),
    ProcessConfig(process="grammar", num_symbols=2, num_states=3, line_length=2, sharpness=1.0, seed=4),
]
LETTERS = "abcd"
PINNED = [
    ("cacbc\naaaaa\nabcab\n", "abcab\ncabcc\nabbbb\n"),
    ("bccb\nbbbb\nbbbb\n", "bbbb\nbbbb\nbbbc\n"),
    ("ccccc\nccaaa\ncbbca\n", "cbbbb\ncbbbb\ncbbbc\n"),
    ("aba\nb\naba\n", "aabbabba\naabbabba\nb\n"),
]
"""The first text of each, and the second: probabilities and every text have random streams of their own."""


def lines(config):
    """Return every line of up to 14 symbols that the process can draw, with its probability."""
    process = build_process(config)
    found, waiting = {}, [("", 1.0, process.begin)]
    while waiting:
        text, probability, state = waiting.pop()
        *symbols, end = process.following(state)
        if end:
            found[text + "\n"] = probability * end
        for s, p in enumerate(symbols):
            if p and len(text) < 14 and probability * p > 1e-9:
                waiting.append((text + LETTERS[s], probability * p, process.after(state, s)))
    return found


@pytest.mark.parametrize("config", SMALL, ids=lambda c: c.process)
def test_the_entropy_is_that_of_all_lines_enumerated(config):
    probabilities = np.array(list(lines(config).values()))
    process = build_process(config)
    rest = 1 - probabilities.sum()
    assert 0 <= rest + 1e-12 < (3e-3 if config.process == "grammar" else 1e-9)
    enumerated = -(probabilities * np.log2(probabilities)).sum()
    slack = 40 * rest + 1e-9  # what is left out is rare, at some 40 bits a line
    assert process.line_entropy_bits() == pytest.approx(enumerated, abs=slack)
    mean = sum(len(line) * p for line, p in lines(config).items())
    assert process.mean_line_bytes() == pytest.approx(mean, abs=slack)


def test_a_markov_chain_has_the_entropy_of_its_definition():
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(2), 9)  # order 2 over {a, b}, base 3, 0 before the line
    chain = MarkovChain(rows, order=2, line_length=4)
    entropy = 0.0
    for line in itertools.product((1, 2), repeat=4):
        before = (0, 0, *line)
        probability = math.prod(rows[3 * before[t] + before[t + 1], line[t] - 1] for t in range(4))
        entropy -= probability * math.log2(probability)
        text = "".join(" ab"[s] for s in line) + "\n"
        assert log_probs(chain, text).sum() == pytest.approx(math.log(probability))
    assert chain.line_entropy_bits() == pytest.approx(entropy)


def test_a_hidden_markov_model_has_the_entropy_of_its_definition():
    rng = np.random.default_rng(1)
    start, transition, emission = (rng.dirichlet(np.ones(n), size) for n, size in ((3, None), (3, 3), (2, 3)))
    model = HiddenMarkovModel(start, transition, emission, line_length=4)
    entropy = 0.0
    for line in itertools.product(range(2), repeat=4):
        probability = 0.0
        for path in itertools.product(range(3), repeat=4):
            steps = math.prod(transition[a, b] for a, b in itertools.pairwise(path))
            probability += (
                start[path[0]] * steps * math.prod(emission[k, s] for k, s in zip(path, line, strict=True))
            )
        entropy -= probability * math.log2(probability)
        assert log_probs(model, "".join("ab"[s] for s in line) + "\n").sum() == pytest.approx(
            math.log(probability)
        )
    assert model.line_entropy_bits() == pytest.approx(entropy)


def test_a_grammar_has_the_entropy_solved_by_hand():
    # A -> a (1/2) | b A (1/4) | c B (1/4);  B -> a (2/3) | b B B (1/3): E[uses of B by B] = 2/3
    rows = np.array([[1 / 2, 1 / 4, 1 / 4], [2 / 3, 1 / 3, 0.0]])
    grammar = Grammar(rows, [[(), (0,), (1,)], [(), (1, 1), ()]])
    choice = math.log2(3) - 2 / 3
    of_b = choice / (1 - 2 / 3)
    of_a = (1.5 + of_b / 4) / (1 - 1 / 4)
    assert grammar.line_entropy_bits() == pytest.approx(of_a)
    assert grammar.mean_line_bytes() == pytest.approx((1 + 3 / 4) / (3 / 4) + 1)
    assert log_probs(grammar, "cbaa\n").sum() == pytest.approx(math.log(1 / 4 * 1 / 3 * (2 / 3) ** 2))


@given(st.integers(2, 26), st.integers(1, 40), st.integers(0, 2))
def test_equal_probabilities_give_the_logarithm_of_their_number(num_symbols, length, order):
    config = ProcessConfig(num_symbols=num_symbols, order=order, line_length=length, sharpness=0)
    expected = length * math.log2(num_symbols) / (length + 1)
    assert entropy_bits_per_byte(build_process(config)) == pytest.approx(expected)


@given(
    st.integers(2, 26), st.integers(1, 12), st.integers(1, 100), st.floats(0, 10), st.integers(0, 2**63 - 1)
)
@settings(max_examples=50)
def test_a_grammar_of_any_seed_has_the_mean_length_asked_for(
    num_symbols, num_states, length, sharpness, seed
):
    config = ProcessConfig(
        process="grammar",
        num_symbols=num_symbols,
        num_states=num_states,
        line_length=length,
        sharpness=sharpness,
        seed=seed,
    )
    assert build_process(config).mean_line_bytes() == pytest.approx(length + 1)


@pytest.mark.parametrize("config", SMALL, ids=lambda c: c.process)
def test_lines_are_drawn_with_their_probabilities(config):
    process, expected = build_process(config), lines(config)
    generator = np.random.default_rng(7)
    n = 8000
    drawn = Counter(draw_line(process, generator) for _ in range(n))
    likely = [line for line, p in expected.items() if n * p >= 5]
    counts = np.array([drawn[line] for line in likely])
    means = n * np.array([expected[line] for line in likely])
    statistic = ((counts - means) ** 2 / means).sum() + (counts.sum() - means.sum()) ** 2 / (n - means.sum())
    degrees = len(likely)
    assert abs(statistic - degrees) < 4 * math.sqrt(2 * degrees)  # a chi-square's mean and deviation


@pytest.mark.parametrize("config", SMALL, ids=lambda c: c.process)
@given(st.integers(0, 100))
@settings(max_examples=20)
def test_a_prefix_has_the_prefix_of_the_figures(config, length):
    process = build_process(config)
    text = next(draw_texts(config, 12))
    whole = log_probs(process, text)
    np.testing.assert_array_equal(log_probs(process, text[:length]), whole[:length])
    parts = [log_probs(process, line) for line in text.splitlines(keepends=True)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)  # lines are independent
    assert text.count("\n") == 12


def test_texts_are_a_pure_function_of_the_configuration():
    config = ProcessConfig()
    first, again = (list(itertools.islice(draw_texts(config, 4), 5)) for _ in range(2))
    assert first == again
    assert len(set(first)) == 5
    assert next(draw_texts(replace(config, seed=1), 4)) != first[0]


@pytest.mark.parametrize(
    ("text", "shown"), [("ab\n", r"'\\n' after 'ab'"), ("aéa", "'é' after 'a'"), ("z", "'z' after ''")]
)
def test_a_text_that_cannot_be_drawn_is_a_sentence(text, shown):
    process = build_process(ProcessConfig(num_symbols=3, line_length=3))
    with pytest.raises(DataError, match=f"cannot draw {shown}; the text is not of this `known` source"):
        log_probs(process, text)


def test_a_hidden_markov_model_too_long_to_sum_is_a_sentence():
    assert ProcessConfig(process="hidden_markov", num_symbols=8, line_length=7)
    with pytest.raises(
        ConfigError, match="line_length must be at most 7 for a hidden Markov model of 8 symbols"
    ):
        ProcessConfig(process="hidden_markov", num_symbols=8, line_length=8)


@pytest.mark.parametrize(("config", "texts"), list(zip(SMALL, PINNED, strict=True)))
def test_the_texts_of_a_seed_are_these(config, texts):
    drawn = draw_texts(config, 3)
    assert (next(drawn), next(drawn)) == texts


def test_no_text_is_drawn_with_the_stream_of_the_probabilities():
    """The numbers of a generator that has drawn the probabilities would say them again."""
    for config in SMALL:
        first = next(draw_texts(config, 40))
        process = build_process(config)
        key = np.random.SeedSequence((config.seed, 0)).generate_state(2, np.uint64)
        shared = np.random.Generator(np.random.Philox(key=key))
        assert first != "".join(draw_line(process, shared) for _ in range(40))


@pytest.mark.parametrize("process", ["markov", "hidden_markov", "grammar"])
def test_every_state_gives_each_symbol_and_the_newline_a_probability(process):
    config = ProcessConfig(process=process, num_symbols=3, num_states=5, line_length=4, order=1)
    known = build_process(config)
    assert known.num_symbols == 3
    state, symbols, generator = known.begin, 0, np.random.default_rng(0)
    while (probabilities := known.following(state))[3] < 1:
        assert probabilities.shape == (4,)
        assert probabilities.sum() == pytest.approx(1)
        state = known.after(state, int(generator.choice(3, p=probabilities[:3])))
        symbols += 1
    assert list(known.following(state)) == [0, 0, 0, 1]
    assert symbols == 4 or process == "grammar"
