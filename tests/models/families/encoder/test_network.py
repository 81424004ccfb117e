"""The encoder against transformers' BertForMaskedLM, and against its documents one by one."""

import pytest
import torch

from lmexp.errors import ConfigError, DataError
from lmexp.models.build import build_model
from lmexp.models.families import EncoderConfig

CONFIG = EncoderConfig(context_length=12, num_layers=2, num_heads=3, d_model=12, d_ff=20)
V = 17


@pytest.fixture(scope="module")
def model():
    model = build_model(CONFIG, V, seed=1).double()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5, generator=generator)
    return model


def some_ids(*shape):
    return torch.randint(V, shape, generator=torch.Generator().manual_seed(3))


def test_logits_and_gradients_are_those_of_bert(model):
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=V, hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=20,
        max_position_embeddings=12, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    theirs = transformers.BertForMaskedLM(config).double()
    missing = theirs.load_state_dict(model.state_dict(), strict=False)
    assert not missing.unexpected_keys
    assert set(missing.missing_keys) <= {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
    theirs.tie_weights()
    ids = some_ids(3, 11)
    ours, expected = model(ids), theirs(input_ids=ids).logits
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)
    ours.square().sum().backward()
    expected.square().sum().backward()
    of_theirs = dict(theirs.named_parameters())
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, of_theirs[name].grad, rtol=1e-8, atol=1e-8)
    model.zero_grad()


@torch.no_grad()
def test_every_token_sees_both_sides(model):
    ids = some_ids(1, 8)
    changed = ids.clone()
    changed[0, 5] = (changed[0, 5] + 1) % V
    assert ((model(ids) - model(changed)).abs().amax(dim=-1) > 1e-6).all()


@torch.no_grad()
def test_packed_documents_have_the_logits_of_each_document_alone(model):
    ids, lengths = some_ids(2, 12), [[4, 1, 7], [12]]
    documents = torch.stack([torch.repeat_interleave(torch.arange(len(r)), torch.tensor(r)) for r in lengths])
    for row, logits, own in zip(ids, model(ids, documents), lengths, strict=True):
        alone = torch.cat([model(document[None])[0] for document in row.split(own)])
        torch.testing.assert_close(logits, alone, rtol=1e-9, atol=1e-9)


def test_too_long_an_input_and_heads_that_do_not_divide_the_width_are_refused(model):
    with pytest.raises(DataError, match=r"at most 12 tokens and was given 13"):
        model(torch.zeros(1, 13, dtype=torch.int64))
    with pytest.raises(ConfigError, match=r"d_model \(12\) must be a multiple of num_heads \(5\)"):
        EncoderConfig(d_model=12, num_heads=5)


def test_the_last_id_is_the_mask_and_weights_come_from_the_seed(model):
    assert model.mask_token_id == V - 1
    first, again, other = (
        torch.cat([p.detach().flatten() for p in build_model(CONFIG, V, seed=s).parameters()])
        for s in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
