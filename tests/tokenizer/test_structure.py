"""What is accepted keeps its promises for every text, and what breaks one is refused by its structure."""

import json
from copy import deepcopy

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as Backend

from lmexp.errors import DataError
from lmexp.tokenizer.folder import load_tokenizer
from lmexp.tokenizer.tokenizer import Tokenizer
from tests.tokenizer.families import BEGIN, END, FAMILIES, trained, write, written

NAMES = (
    "<|endoftext|>", "<|begin_of_text|>", "<|im_end|>", "<tool_call>", "</tool_call>", "<|reserved_3|>",
    END, "¡fin¡", "naïve", " été", "中", "cats", "  ", "\n\n", "é", "e\u0301", "ﬁ", "\u2126",
)  # fmt: skip
texts = st.lists(st.one_of(st.sampled_from(NAMES), st.text(max_size=8)), max_size=10).map("".join)


@pytest.fixture(scope="module")
def accepted(tmp_path_factory) -> dict[str, Tokenizer]:
    folder = tmp_path_factory.mktemp("families")
    return {family: load_tokenizer(written(folder / family, family)) for family in FAMILIES}


@given(texts)
@example("".join(NAMES))
@example("x " * 9 + "\x00\x7f\r\n  ")
@settings(max_examples=150, deadline=None)
def test_the_bytes_of_a_texts_tokens_are_the_bytes_of_the_text_whatever_the_tokenizer(accepted, text):
    for family, tokenizer in accepted.items():
        ids = tokenizer.encode(text)
        assert b"".join(tokenizer.token_contents[i] for i in ids) == text.encode(), family
        assert tokenizer.token_bytes[ids].sum() == len(text.encode()), family
        assert tokenizer.decode(ids) == text, family
        assert tokenizer.encode_batch(["", text]) == [[], ids], family
        assert not {tokenizer.eos_token_id, tokenizer.bos_token_id} & set(ids), "text is data"


@given(st.lists(st.integers(0, 290), max_size=12))
@settings(max_examples=150, deadline=None)
def test_ids_decode_as_the_library_decodes_them(accepted, ids):
    for family in ("gpt2", "llama3", "qwen2"):  # the others have tokens that the library gets wrong
        tokenizer = accepted[family]
        assert tokenizer.decode(ids) == tokenizer._backend.decode(ids, skip_special_tokens=False)


def test_an_added_token_counts_the_bytes_that_it_stands_for(accepted):
    tokenizer = accepted["neox"]
    for text, size in (("cats", 4), ("naïve", 6), ("中", 3), ("    ", 4)):
        (token,) = tokenizer.encode(text)
        assert tokenizer.token_bytes[token] == size
    assert tokenizer.token_bytes[tokenizer.eos_token_id] == 0
    assert accepted["llama3"].token_bytes[-6:].tolist() == [0] * 6


def test_the_special_tokens_have_the_roles_that_the_configuration_gives_them(accepted):
    def roles(family):
        t = accepted[family]
        return t.decode([t.bos_token_id]), t.decode([t.eos_token_id]), bool(t.start_ids)

    assert roles("gpt2") == ("<|endoftext|>", "<|endoftext|>", False)
    assert roles("llama3") == ("<|begin_of_text|>", "<|end_of_text|>", True)
    assert roles("qwen2") == ("<|im_end|>", "<|im_end|>", False)
    assert roles("deepseek") == (BEGIN, END, True)


def test_a_text_begins_as_transformers_begins_it(tmp_path):
    transformers = pytest.importorskip("transformers")
    for family in FAMILIES:
        ours = load_tokenizer(written(tmp_path / family, family))
        theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / family)
        for text in ("The cats can't sit", " été\n", "7"):
            assert ours.begun(ours.encode(text)) == theirs(text)["input_ids"], family
        assert ours.begun([]) == [ours.bos_token_id]


def test_a_saved_tokenizer_is_read_back_with_its_roles(accepted, tmp_path):
    for family, tokenizer in accepted.items():
        tokenizer.save(tmp_path / family)
        again = load_tokenizer(tmp_path / family)
        assert again.definition() == tokenizer.definition()
        for role in ("eos_token_id", "bos_token_id", "start_ids", "vocab_size"):
            assert getattr(again, role) == getattr(tokenizer, role)


def test_an_id_past_the_vocabulary_decodes_to_nothing(accepted):
    tokenizer = accepted["gpt2"]
    ids = tokenizer.encode("mats")
    assert tokenizer.decode([-1, *ids, tokenizer.vocab_size, 10**9]) == "mats"


GPT2 = json.loads(FAMILIES["gpt2"]()[0].to_str())
EOS = GPT2["added_tokens"][0]
ADDED = {**EOS, "special": False, "normalized": False}


def with_model(**fields):
    return lambda d: d["model"].update(fields)


def with_part(**fields):
    return lambda d: d.update(fields)


def with_added(content, i=None, **fields):
    def change(d):
        d["added_tokens"].append({**ADDED, "content": content, "id": 321 if i is None else i, **fields})

    return change


def with_vocab(token, i):
    return lambda d: d["model"]["vocab"].update({token: i})


def as_json(part):
    return json.loads(part.__getstate__())


def normalizing(*parts):
    return with_part(normalizer={"type": "Sequence", "normalizers": [as_json(part) for part in parts]})


def templating(single, *special):
    tokens = [("<|endoftext|>", 320), *special]
    return with_part(
        post_processor=as_json(processors.TemplateProcessing(single=single, special_tokens=tokens))
    )


def splitting(*parts):
    return with_part(pre_tokenizer={"type": "Sequence", "pretokenizers": [as_json(part) for part in parts]})


BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False)
SPACED = pre_tokenizers.ByteLevel(add_prefix_space=True)
REFUSED = {
    "dropout": (with_model(dropout=0.1), "model.dropout 0.1: it encodes a text differently each time"),
    "prefix": (with_model(continuing_subword_prefix="##", merges=[]), "model.continuing_subword_prefix ##"),
    "suffix": (with_model(end_of_word_suffix="</w>"), "model.end_of_word_suffix </w>"),
    "word level": (
        with_part(model={"type": "WordLevel", "vocab": GPT2["model"]["vocab"], "unk_token": "a"}),
        "pre_tokenizer.type ByteLevel: WordLevel asks for words",
    ),
    "unigram": (
        with_part(model={"type": "Unigram", "vocab": [["a", -1.0]], "unk_id": 0, "byte_fallback": False}),
        "model.type Unigram",
    ),
    "NFC": (with_part(normalizer={"type": "NFC"}), "normalizer NFC: it changes a text"),
    "lower case": (normalizing(normalizers.Lowercase()), "normalizer Lowercase"),
    "replace": (normalizing(normalizers.Replace(" ", "▁")), "normalizer Replace"),
    "prepend": (normalizing(normalizers.Prepend("▁")), "normalizer Prepend"),
    "strip": (normalizing(normalizers.Strip()), "normalizer Strip"),
    "truncation": (
        with_part(
            truncation={"direction": "Right", "max_length": 9, "strategy": "LongestFirst", "stride": 0}
        ),
        "has truncation",
    ),
    "padding": (
        with_part(
            padding={
                "strategy": {"Fixed": 9},
                "direction": "Right",
                "pad_to_multiple_of": None,
                "pad_id": 0,
                "pad_type_id": 0,
                "pad_token": "!",
            }
        ),
        "has padding",
    ),
    "lstrip": (with_added("x y", lstrip=True), "lstrip of the added token 'x y' True"),
    "rstrip": (with_added("x y", rstrip=True), "rstrip of the added token 'x y' True"),
    "single word": (with_added("xy", single_word=True), "single_word of the added token 'xy' True"),
    "special lstrip": (with_added("<mask>", lstrip=True, special=True), "lstrip of the added token '<mask>'"),
    "no splitter": (with_part(pre_tokenizer=None), "pre_tokenizer []: it must write bytes as characters"),
    "white space": (splitting(pre_tokenizers.Whitespace(), BYTES), "pre_tokenizer.type Whitespace"),
    "word splitter": (splitting(pre_tokenizers.WhitespaceSplit(), BYTES), "type WhitespaceSplit"),
    "metaspace": (splitting(pre_tokenizers.Metaspace(), BYTES), "type Metaspace"),
    "bert": (splitting(pre_tokenizers.BertPreTokenizer(), BYTES), "type BertPreTokenizer"),
    "delimiter": (splitting(pre_tokenizers.CharDelimiterSplit("x"), BYTES), "type CharDelimiterSplit"),
    "removing": (splitting(pre_tokenizers.Split(" ", "removed"), BYTES), "Split.behavior Removed"),
    "punctuation": (splitting(pre_tokenizers.Punctuation("removed"), BYTES), "Punctuation.behavior Removed"),
    "bytes twice": (splitting(BYTES, BYTES), "pre_tokenizer ['ByteLevel', 'ByteLevel']"),
    "no bytes": (splitting(pre_tokenizers.Digits()), "pre_tokenizer ['Digits']"),
    "added space": (splitting(SPACED), "pre_tokenizer.add_prefix_space True"),
    "decoder": (with_part(decoder={"type": "Fuse"}), "decoder.type Fuse"),
    "no decoder": (with_part(decoder=None), "decoder.type None"),
    "appended": (
        templating("$A <|endoftext|>"),
        "post_processor.single ['the text', '<|endoftext|>']: it is more than one start token",
    ),
    "two starts": (
        templating("<|endoftext|> <|endoftext|> $A"),
        "post_processor.single",
    ),
    "two templates": (
        lambda d: (
            templating("<|endoftext|> $A")(d),
            d.update(post_processor={"type": "Sequence", "processors": [d["post_processor"]] * 2}),
        ),
        "post_processor.single ['<|endoftext|>', 'the text']: it is more than one start token",
    ),
    "text twice": (
        templating("$A $A"),
        "post_processor.single ['the text', 'the text']",
    ),
    "start of text": (
        templating("x $A", ("x", 87)),
        "post_processor.special_tokens['x'].ids [87]",
    ),
    "roberta": (
        with_part(post_processor=as_json(processors.RobertaProcessing(("!", 0), ("!", 0)))),
        "post_processor.type RobertaProcessing",
    ),
    "byte lacking": (lambda d: d["model"]["vocab"].pop("ÿ"), "has 320 tokens with ids up to 320, and none"),
    "another id": (with_added("Ġcats", 321), "gives 'Ġcats' the id"),
    "byte renamed": (
        lambda d: d["model"]["vocab"].update({"zzzz": d["model"]["vocab"].pop("ÿ")}),
        "model.vocab without the byte 0xff (1 in all)",
    ),
    "foreign token": (
        lambda d: (d["model"]["vocab"].update({"中": 320}), d["added_tokens"][0].update(id=321)),
        "the token '中': it is not written in the characters of byte",
    ),
    "hole": (with_added("xy", 999), "none with the id 321"),
    "hole in vocab": (with_vocab("zq", 999), "none with the id 321"),
    "one id twice": (with_vocab("zq", 5), "gives the id 5 to"),
    "added over another": (with_added("xy", 7), "gives the id 7 to "),
    "two texts of one id": (with_added("é", GPT2["model"]["vocab"]["é"]), "with 'é': the same id"),
    "spelt as bytes": (with_added("Ġcats", GPT2["model"]["vocab"]["Ġcats"]), "with 'Ġcats': the same id"),
    "special letter": (
        with_added("x", GPT2["model"]["vocab"]["x"], special=True),
        "the special token 'x': model.vocab and merges make it",
    ),
    "special merge": (
        with_added("Ġcats", GPT2["model"]["vocab"]["Ġcats"], special=True),
        "the special token 'Ġcats': model.vocab and merges make it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_structure_that_breaks_a_promise_is_refused_with_its_field_and_value(tmp_path, name):
    change, sentence = REFUSED[name]
    definition = deepcopy(GPT2)
    change(definition)
    Backend.from_str(json.dumps(definition))  # the library takes it
    with pytest.raises(DataError) as error:
        load_tokenizer(write(tmp_path, definition, {}))
    message = str(error.value)
    assert sentence in message
    assert str(tmp_path / "tokenizer.json") in message
    assert "\n" not in message


def test_a_special_token_in_the_vocabulary_is_refused_where_merges_are_ignored(tmp_path):
    backend = trained(BYTES, special=["<|endoftext|>"], ignore_merges=True)
    with pytest.raises(DataError, match=r"the special token '<\|endoftext\|>': model\.vocab"):
        load_tokenizer(write(tmp_path, json.loads(backend.to_str()), {}))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"add_eos_token": True}, "add_eos_token True"),
        (
            {"add_bos_token": True},
            "add_bos_token True, but the post_processor of tokenizer.json puts no",
        ),
        ({"add_prefix_space": True}, "add_prefix_space True"),
        ({"eos_token": "mats"}, "eos_token 'mats', which is no special token"),
        ({"bos_token": ["x"]}, "bos_token \"['x']\", which is no special token"),
        ({"eos_token": {"content": 7}}, "eos_token '7', which is no special token"),
    ],
)
def test_a_configuration_that_says_something_else_is_refused(tmp_path, change, sentence):
    with pytest.raises(DataError) as error:
        load_tokenizer(write(tmp_path, GPT2, change))
    assert sentence in str(error.value)


def test_a_configuration_that_denies_the_start_token_is_refused(tmp_path):
    backend, config = FAMILIES["llama3"]()
    folder = write(tmp_path, json.loads(backend.to_str()), config | {"add_bos_token": False})
    with pytest.raises(DataError, match=r"add_bos_token False, but the post_processor .* puts a token first"):
        load_tokenizer(folder)


def test_the_token_that_is_put_first_begins_a_text_whatever_else_is_named(tmp_path):
    backend, config = FAMILIES["llama3"]()
    config |= {"bos_token": "<|reserved_0|>"}
    tokenizer = load_tokenizer(write(tmp_path, json.loads(backend.to_str()), config))
    assert tokenizer.decode([tokenizer.bos_token_id]) == "<|begin_of_text|>"
    assert tokenizer.start_ids == (tokenizer.bos_token_id,)


def test_a_token_that_begins_a_document_need_not_begin_a_prompt(tmp_path):
    backend, config = FAMILIES["qwen2"]()
    config |= {"bos_token": "<|im_start|>"}
    tokenizer = load_tokenizer(write(tmp_path, json.loads(backend.to_str()), config))
    assert tokenizer.decode(tokenizer.begun([])) == "<|im_start|>"
    assert tokenizer.begun([5, 6]) == [5, 6]
    assert tokenizer.start_ids == ()


def test_a_tokenizer_without_an_end_of_text_is_refused(tmp_path):
    definition = deepcopy(GPT2)
    definition["added_tokens"][0]["content"] = "<|stop|>"
    with pytest.raises(DataError, match=r"no special token '<\|endoftext\|>'; name another one"):
        load_tokenizer(write(tmp_path, definition, {}))
    assert load_tokenizer(write(tmp_path, definition, {"eos_token": "<|stop|>"})).eos_token_id == 320
    definition["added_tokens"] = [{**ADDED, "id": 320, "content": "<|endoftext|>"}]
    with pytest.raises(DataError, match="no special token"):
        load_tokenizer(write(tmp_path, definition, {}))


def test_what_means_nothing_here_may_have_any_value(tmp_path):
    backend, _ = FAMILIES["gpt2"]()
    backend.add_tokens([AddedToken("CATS", normalized=True)])
    definition = json.loads(backend.to_str())
    definition["model"] |= {"dropout": 0.0, "fuse_unk": True, "byte_fallback": True, "unk_token": "!"}
    definition["normalizer"] = {"type": "Sequence", "normalizers": []}
    tokenizer = load_tokenizer(write(tmp_path, definition, {}))
    assert tokenizer.decode(tokenizer.encode("é CATS")) == "é CATS"
