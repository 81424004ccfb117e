"""The family of examples/own_model against its formula written out, and read in other pieces."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.core.graph.extensions import activate
from lmexp.errors import ConfigError, DataError
from lmexp.models.build import build_model
from lmexp.models.card import model_card
from lmexp.models.families import NETWORKS
from lmexp.models.folder import load_model, save_network
from lmexp.training.config import PretrainConfig, TrainerConfig
from lmexp.training.machine import check_machine

FILE = Path(__file__).resolve().parents[1] / "examples" / "own_model" / "window.py"
V = 7


@pytest.fixture(scope="module", autouse=True)
def active():
    """Let the family be there for these tests alone."""
    activate([FILE])
    yield
    activate([])


def network(window=3):
    config = NETWORKS.kinds["window"](window=window, d_model=4, d_ff=5)
    return build_model(config, V, seed=1).double().requires_grad_(False)


def some_ids(*shape):
    return torch.randint(V, shape, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("window", [1, 3, 12])
def test_logits_are_those_of_the_formula_written_out(window):
    model, ids = network(window), some_ids(8)
    w = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    padded = [V] * (window - 1) + ids.tolist()
    for time, logits in enumerate(model(ids[None])[0]):
        x = [number for i in padded[time : time + window] for number in w["embedding.weight"][i]]
        h = torch.from_numpy(w["hidden.weight"] @ x + w["hidden.bias"]).tanh().numpy()
        expected = torch.from_numpy(w["unembedding.weight"] @ h + w["unembedding.bias"])
        torch.testing.assert_close(logits, expected, rtol=1e-12, atol=1e-12)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_a_text_read_in_pieces_gives_what_it_gives_as_a_whole(pieces, window):
    model, ids = network(window), some_ids(3, sum(pieces))
    state = model.new_state(3)
    found = [model.logits(model.hidden_states(piece, state=state)) for piece in ids.split(pieces, dim=1)]
    torch.testing.assert_close(torch.cat(found, dim=1), model(ids))


def test_rows_of_unequal_length_move_their_own_state_on():
    model, ids, lengths = network(), some_ids(3, 6), [6, 1, 4]
    state = model.begin(3)
    first = model.step(ids.numpy(), lengths, state)
    state = type(state).join([state.take([2, 0]), state.take([1])])
    second = model.step(ids[:, :1].numpy(), [1, 1, 1], state)
    for place, row in enumerate([2, 0, 1]):
        read = torch.cat((ids[row, : lengths[row]], ids[place, :1]))[None]
        torch.testing.assert_close(first[row], model(read)[0, -2])
        torch.testing.assert_close(second[place], model(read)[0, -1])


def test_packed_documents_have_the_logits_of_each_document_alone():
    model, ids = network(), some_ids(1, 9)
    documents = torch.tensor([[0, 0, 0, 0, 1, 2, 2, 2, 2]])
    alone = torch.cat([model(part) for part in ids.split([4, 1, 4], dim=1)], dim=1)
    torch.testing.assert_close(model(ids, documents), alone)
    assert not torch.allclose(model(ids), alone), "the border must matter"


def test_weights_come_from_the_seed_alone():
    config = network().config
    torch.manual_seed(5)
    first = build_model(config, V, seed=1).state_dict()
    torch.manual_seed(6)
    again, other = (build_model(config, V, seed=seed).state_dict() for seed in (1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["embedding.weight"], other["embedding.weight"])


def test_a_model_says_the_file_that_it_needs_and_is_read_with_it_alone(tmp_path):
    model = network()
    save_network(model, tmp_path, eos_token_id=0)
    card = model_card(model, "w", steps=1, settings={}, inputs=[])
    assert 'lmexp.load_model(".", extensions=["window.py"])' in card
    assert torch.equal(load_model(tmp_path)(some_ids(1, 5)), model(some_ids(1, 5)))
    activate([])
    try:
        with pytest.raises(DataError, match=r"'window', which a file window\.py defined; .* --with"):
            load_model(tmp_path)
    finally:
        activate([FILE])


@pytest.mark.parametrize("name", ["label", "size", "can"])
def test_a_family_that_does_not_say_what_it_is_is_refused_when_its_file_is_read(tmp_path, name):
    file = tmp_path / "half.py"
    text = FILE.read_text().replace(f"def {name}(", f"def no_{name}(")
    file.write_text(text.replace('"window", Window', '"half", Window'))
    try:
        with pytest.raises(ConfigError, match=rf"half\.py registers WindowConfig .* defines no '{name}'"):
            activate([file])
    finally:
        activate([FILE])


def test_a_file_without_a_network_is_refused_before_it_is_trained(tmp_path):
    file = tmp_path / "netless.py"
    text = FILE.read_text().replace("NETWORK = Window\n", "").replace('"window", Window', '"netless", Window')
    file.write_text(text)
    activate([file])
    try:
        trainer = TrainerConfig(max_steps=1)
        config = PretrainConfig(model=NETWORKS.kinds["netless"](), trainer=trainer)
        with pytest.raises(ConfigError, match=r"netless\.py registers WindowConfig and has no NETWORK"):
            check_machine(config)
    finally:
        activate([FILE])
