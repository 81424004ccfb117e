"""The loop that writes: rows of a batch against each of them alone, for every family that streams."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.generation.stream import stream
from lmexp.models.build import build_model
from lmexp.models.families import NETWORKS

V, LIMIT = 13, 10
SHAPES = {
    "qwen3": {"context_length": LIMIT, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2, "d_model": 16},
    "gpt2": {"context_length": LIMIT, "num_layers": 2, "num_heads": 2, "d_model": 8},
    "mlp": {"order": 4, "d_model": 6, "d_ff": 8, "direct": True},
    "rnn": {"num_layers": 2, "d_model": 8},
    "gru": {"num_layers": 2, "d_model": 8},
    "lstm": {"num_layers": 2, "d_model": 8},
}


@pytest.fixture(scope="module", params=SHAPES)
def model(request):
    torch.set_num_threads(1)
    config = NETWORKS.kinds[request.param](**SHAPES[request.param])
    model = build_model(config, V, seed=3).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.4)
    return model.eval()


def greedy(logits, _rows):
    return logits.argmax(dim=-1).tolist()


def written(model, prompts, **options):
    texts = [[] for _ in prompts]
    given_options = {"max_new_tokens": 25, "ends": {0}, "batch_size": 3} | options
    for row, token in stream(model, prompts, choose=greedy, **given_options):
        texts[row].append(token)
    return texts


@torch.no_grad()
def slow(model, prompt, max_new_tokens=25):
    """Read everything that is seen again for each token."""
    limit = model.context_length
    tokens, begin, window = list(prompt), len(prompt), min(len(prompt), limit or len(prompt))
    for _ in range(max_new_tokens):
        if limit is not None and window > limit:
            window = limit // 2
        token = int(model(torch.tensor([tokens[-window:]]))[0, -1].argmax())
        if token == 0:
            break
        tokens.append(token)
        window += 1
    return tokens[begin:]


PROMPTS = st.lists(st.lists(st.integers(1, V - 1), min_size=1, max_size=14), min_size=1, max_size=5)


@given(PROMPTS, st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_each_prompt_is_continued_as_it_would_be_alone(model, prompts, batch_size):
    assert written(model, prompts, batch_size=batch_size) == [slow(model, prompt) for prompt in prompts]


def test_a_row_that_stops_leaves_and_the_others_go_on(model):
    prompts = [[1, 2, 3], [4], [5, 6, 7, 8]]
    free = written(model, prompts, ends=set())
    stopped = written(model, prompts, ends=set(), stops=lambda row, ids: row == 0 and len(ids) == 2)
    assert stopped == [free[0][:2], *free[1:]]
    assert written(model, prompts, ends=set(), max_new_tokens=1) == [text[:1] for text in free]


def test_tokens_come_out_as_they_are_chosen(model):
    reads = []

    def choose(logits, rows):
        reads.append(list(rows))
        return greedy(logits, rows)

    tokens = stream(model, [[1], [2, 3]], choose=choose, max_new_tokens=5, ends=set(), batch_size=2)
    first = next(tokens)
    assert reads == [[1, 0]]
    assert first[0] == 1
    assert len(list(tokens)) == 9
