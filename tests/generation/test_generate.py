"""Generation against transformers and against a loop that reads everything again at every step."""

import pytest
import tokenizers
import torch

import lmexp
from lmexp.errors import ConfigError, DataError
from lmexp.generation.config import SamplingConfig
from lmexp.generation.generate import generate_ids, generate_text, generate_texts
from lmexp.generation.sampling import filtered_log_probs, sample
from lmexp.models.families import GPTConfig
from lmexp.models.families.qwen3.network import GPT
from lmexp.models.folder import save_network
from lmexp.tokenizer.config import WordConfig
from lmexp.tokenizer.folder import load_tokenizer
from lmexp.tokenizer.library import LibraryTokenizer
from lmexp.tokenizer.roles import END_OF_TEXT
from lmexp.tokenizer.tokenizer import Tokenizer
from tests.tokenizer.families import written

VOCAB, EOS, LIMIT = 29, 0, 16
GREEDY = SamplingConfig(temperature=0.0, max_new_tokens=10)


def awake(context_length: int = LIMIT, vocab_size: int = VOCAB) -> GPT:
    """Return a model whose every weight is random, so that it has opinions."""
    config = GPTConfig(
        context_length=context_length,
        num_layers=2,
        num_heads=4,
        num_kv_heads=2,
        d_model=24,
        head_dim=8,
        tie_embeddings=False,  # or it repeats what it read
    )
    model = GPT(config, vocab_size, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.empty_like(parameter).normal_(std=0.3, generator=generator))
    return model


@torch.no_grad()
def slow(model, prompt, config, eos):
    """Return the ids and the length of each window, reading the whole window at every step."""
    tokens = list(prompt)[-LIMIT:] or [eos]
    window, begin, lengths = len(tokens), len(tokens), []
    generator = torch.Generator().manual_seed(config.seed)
    for _ in range(config.max_new_tokens):
        if window > LIMIT:
            window = LIMIT // 2
        lengths.append(window)
        logits = model(torch.tensor([tokens[-window:]]))[:, -1]
        token = int(sample(filtered_log_probs(logits, config), generator))
        if token == eos:
            break
        tokens.append(token)
        window += 1
    return tokens[begin:], lengths


def test_greedy_ids_are_those_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    model = awake(context_length=64).double()
    save_network(model, tmp_path, eos_token_id=EOS)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    config = SamplingConfig(temperature=0.0, max_new_tokens=30)
    prompts = [[5], [3, 1, 4, 1, 5, 9, 2, 6], list(range(1, 28))]
    continued = generate_ids(model, prompts, config, eos_token_id=EOS)
    for prompt, ours in zip(prompts, continued, strict=True):
        whole = theirs.generate(
            torch.tensor([prompt]), do_sample=False, max_new_tokens=30, eos_token_id=EOS, pad_token_id=EOS
        )
        expected = whole[0, len(prompt) :].tolist()
        assert ours == [token for token in expected if token != EOS]
        assert len(set(ours)) > 3


@pytest.mark.parametrize("length", [0, 1, 7, LIMIT - 1, LIMIT, LIMIT + 1, 3 * LIMIT])
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_ids_are_those_of_a_loop_that_reads_the_same_window_again(length, temperature):
    model = awake().double()
    prompt = [1 + i * i % (VOCAB - 1) for i in range(length)]
    config = SamplingConfig(temperature=temperature, max_new_tokens=50, top_k=5, seed=4)
    texts = ((eos, *slow(model, prompt, config, eos)) for eos in range(VOCAB))
    eos, expected, lengths = next(text for text in texts if len(text[1]) == 50)  # outgrows the context
    assert generate_ids(model, [prompt], config, eos_token_id=eos) == [expected]
    assert lengths.count(LIMIT) >= 3  # it slid that often, each time to half
    assert set(lengths) >= set(range(LIMIT // 2, LIMIT + 1))


def test_a_long_prompt_loses_its_left():
    model = awake()
    prompt = [1 + i % 28 for i in range(2 * LIMIT)]
    (whole,) = generate_ids(model, [prompt], GREEDY, eos_token_id=EOS)
    (cut,) = generate_ids(model, [prompt[-LIMIT:]], GREEDY, eos_token_id=EOS)
    assert whole == cut


def test_an_empty_prompt_is_the_beginning_of_a_document():
    model = awake()
    assert generate_ids(model, [[]], GREEDY, eos_token_id=EOS) == generate_ids(
        model, [[EOS]], GREEDY, eos_token_id=EOS
    )


def test_the_end_of_text_token_stops_and_is_not_returned():
    model = awake()
    (free,) = generate_ids(model, [[5, 6]], GREEDY, eos_token_id=EOS)
    assert len(free) == GREEDY.max_new_tokens
    last = free[-1]
    (stopped,) = generate_ids(model, [[5, 6]], GREEDY, eos_token_id=last)
    assert stopped == free[: free.index(last)]


def test_a_seed_fixes_the_text_and_prompt_i_is_continued_as_alone_with_seed_plus_i():
    model = awake()
    config = SamplingConfig(max_new_tokens=12, seed=7)
    prompts = [[3, 4], [3, 4], [9]]
    torch.manual_seed(0)
    state = torch.get_rng_state()
    together = generate_ids(model, prompts, config, eos_token_id=EOS)
    assert torch.equal(torch.get_rng_state(), state)
    assert together == generate_ids(model, prompts, config, eos_token_id=EOS)
    assert together[0] != together[1]
    for i, prompt in enumerate(prompts):
        alone = SamplingConfig(max_new_tokens=12, seed=7 + i)
        assert generate_ids(model, [prompt], alone, eos_token_id=EOS) == [together[i]]


def test_generating_changes_neither_the_prompt_nor_the_model_and_leaves_it_trainable():
    model, prompt = awake(), [1, 2, 3]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    generate_ids(model, [prompt], GREEDY, eos_token_id=EOS)
    assert prompt == [1, 2, 3]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    model(torch.tensor([prompt])).sum().backward()
    assert model.model.embed_tokens.weight.grad is not None


def test_an_id_outside_the_vocabulary_is_refused_in_a_sentence():
    with pytest.raises(DataError, match=r"token id 29 is outside of the model's vocabulary of 29"):
        generate_ids(awake(), [[1], [29]], GREEDY, eos_token_id=EOS)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """One token a byte, and the end of text."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocab = {character: i for i, character in enumerate([END_OF_TEXT, *alphabet])}
    backend = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocab, merges=[]))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = tokenizers.decoders.ByteLevel()
    backend.add_special_tokens([END_OF_TEXT])
    return LibraryTokenizer(backend)


def test_padded_ids_are_never_chosen_however_likely(tokenizer):
    model = awake(vocab_size=tokenizer.vocab_size + 40)
    with torch.no_grad():  # the padding repeats the rows of real tokens, ten times as large
        model.model.embed_tokens.weight[-40:] = 10 * model.model.embed_tokens.weight[1:41]
    prompt = tokenizer.encode("abc")
    (free,) = generate_ids(model, [prompt], GREEDY, eos_token_id=EOS)
    assert max(free) >= tokenizer.vocab_size
    for config in (GREEDY, SamplingConfig(max_new_tokens=30, seed=2)):
        (ids,) = generate_ids(model, [prompt], config, eos_token_id=EOS, vocab_size=tokenizer.vocab_size)
        assert ids
        assert max(ids) < tokenizer.vocab_size
        assert generate_text(model, tokenizer, "abc", config) == tokenizer.decode(ids)


def test_a_text_begins_and_ends_as_its_tokenizer_says(tmp_path):
    tokenizer = load_tokenizer(written(tmp_path, "llama3"))
    model = awake(vocab_size=tokenizer.vocab_size)
    ids = [tokenizer.bos_token_id, *tokenizer.encode("The cats")]
    (expected,) = generate_ids(model, [ids], GREEDY, eos_token_id=tokenizer.eos_token_id)
    assert generate_text(model, tokenizer, "The cats", GREEDY) == tokenizer.decode(expected)
    (empty,) = generate_ids(model, [ids[:1]], GREEDY, eos_token_id=tokenizer.eos_token_id)
    assert generate_text(model, tokenizer, "", GREEDY) == tokenizer.decode(empty)
    last = expected[3]
    for ends in ({"eos_token_id": last}, {"eos_token_id": EOS, "bos_token_id": last}):
        assert generate_ids(model, [ids], GREEDY, **ends) == [expected[: expected.index(last)]]
    with pytest.raises(DataError, match="token id 999 is outside"):
        generate_ids(model, [ids], GREEDY, eos_token_id=EOS, bos_token_id=999)


def test_text_is_continued_by_the_text_of_the_ids_alone(tokenizer):
    model = awake(vocab_size=tokenizer.vocab_size)
    prompt = "def f("
    config = SamplingConfig(max_new_tokens=15, top_p=0.9, seed=3)
    (ids,) = generate_ids(model, [tokenizer.encode(prompt)], config, eos_token_id=tokenizer.eos_token_id)
    assert ids
    expected = tokenizer.decode(ids)
    assert generate_text(model, tokenizer, prompt, config) == expected
    assert lmexp.generate(model, tokenizer, prompt, max_new_tokens=15, top_p=0.9, seed=3) == expected


def test_words_are_written_behind_a_space_whole_or_streamed():
    words = WordConfig(min_count=1).make(iter(["a cat sat on the mat and the dog"]))
    model = awake(vocab_size=words.vocab_size)
    config = SamplingConfig(max_new_tokens=8, seed=3)
    for prompt, behind in (("the cat", " "), ("the cat ", ""), ("", "")):
        begun = words.begun(words.encode(prompt))
        (ids,) = generate_ids(model, [begun], config, eos_token_id=words.eos_token_id)
        assert ids
        expected = behind + words.decode(ids)
        assert generate_text(model, words, prompt, config) == expected
        assert generate_texts(model, words, [prompt], config) == [expected]


def test_bad_input_is_refused_in_a_sentence(tokenizer):
    model = awake(vocab_size=tokenizer.vocab_size)
    with pytest.raises(ConfigError, match=r"temprature is not a known key \(did you mean 'temperature'\?\)"):
        lmexp.generate(model, tokenizer, "a", temprature=1.0)
    with pytest.raises(ConfigError, match=r"do_sample is not accepted: temperature=0 is greedy"):
        lmexp.generate(model, tokenizer, "a", do_sample=False)
    with pytest.raises(DataError, match=r"the tokenizer has 257 tokens and the model 29"):
        lmexp.generate(awake(), tokenizer, "a")
    with pytest.raises(DataError, match=r"not valid UTF-8 at character 1"):
        lmexp.generate(model, tokenizer, "a\udc80")
