"""Words and characters by their parts: what breaks a promise is refused with the field and its value."""

from copy import deepcopy

import pytest

from lmexp.errors import DataError
from lmexp.tokenizer.config import CharacterConfig, WordConfig
from lmexp.tokenizer.folder import load_tokenizer
from tests.tokenizer.families import write

TEXT = "the cat sat on the mat the cat sat"
MADE = {"word": WordConfig().make(iter([TEXT])), "character": CharacterConfig().make(iter([TEXT]))}
ADDED = {
    "lstrip": False, "rstrip": False, "single_word": False, "normalized": False, "special": False,
}  # fmt: skip


def model(**fields):
    return lambda d: d["model"].update(fields)


def part(**fields):
    return lambda d: d.update(fields)


def in_vocab(token):
    def change(d):
        for added in d["added_tokens"][1:]:
            added["id"] += 1
        d["model"]["vocab"][token] = len(d["model"]["vocab"])

    return change


def named_in_vocab(d):
    d["model"]["vocab"]["<|endoftext|>"] = len(d["model"]["vocab"])


def added(content):
    return lambda d: d["added_tokens"].append(
        {**ADDED, "content": content, "id": len(d["model"]["vocab"]) + 1}
    )


STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
REFUSED = [
    ("word", part(pre_tokenizer={"type": "Whitespace"}), "pre_tokenizer.type Whitespace: WordLevel asks"),
    ("word", part(pre_tokenizer=None), "pre_tokenizer.type None"),
    ("word", part(decoder={"type": "Fuse"}), "decoder.type Fuse: words are joined by a space"),
    ("word", part(normalizer={"type": "Lowercase"}), "normalizer Lowercase: it changes a text"),
    ("word", model(unk_token="unknown"), "model.unk_token unknown: text without a token would vanish"),
    ("word", in_vocab("the cat"), "model.vocab with 'the cat': no word between white space"),
    ("word", in_vocab(""), "model.vocab with '': no word"),
    ("word", added("New York"), "added_tokens with 'New York', which is not special"),
    ("word", named_in_vocab, "the special token '<|endoftext|>': a text that holds it would become it"),
    ("character", model(fuse_unk=True), "model.fuse_unk True"),
    ("character", model(dropout=0.5), "model.dropout 0.5"),
    ("character", model(end_of_word_suffix="</w>"), "model.end_of_word_suffix </w>"),
    ("character", model(unk_token=None), "model.unk_token None"),
    ("character", model(byte_fallback=True), "decoder ['Fuse']: it does not give the pieces back"),
    ("character", model(unk_token="t"), "model.unk_token t: ordinary text becomes it, too"),
    ("character", part(pre_tokenizer={"type": "WhitespaceSplit"}), "pre_tokenizer.type WhitespaceSplit"),
    (
        "character",
        part(pre_tokenizer={"type": "Punctuation", "behavior": "Removed"}),
        "pre_tokenizer.type Punctuation Removed",
    ),
    (
        "character",
        part(
            decoder={
                "type": "Sequence",
                "decoders": [{"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}],
            }
        ),
        "decoder ['Fuse', 'Strip']",
    ),
    ("character", part(decoder=None), "model.vocab without the byte 0x00"),
    ("character", added("cat"), "added_tokens with 'cat', which is not special"),
]


@pytest.mark.parametrize(("kind", "change", "sentence"), REFUSED)
def test_what_breaks_a_promise_is_refused(tmp_path, kind, change, sentence):
    definition = deepcopy(MADE[kind].definition())
    change(definition)
    with pytest.raises(DataError) as error:
        load_tokenizer(write(tmp_path, definition, {"unk_token": "<unk>"}))
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_merges_of_characters_are_taken_and_those_that_give_the_unknown_token_are_not(tmp_path):
    definition = deepcopy(MADE["character"].definition())
    vocab = definition["model"]["vocab"]
    for token in definition["added_tokens"][1:]:
        token["id"] += 2
    vocab |= {"th": len(vocab), "the": len(vocab) + 1}
    definition["model"]["merges"] = [["t", "h"], ["th", "e"]]
    made = load_tokenizer(write(tmp_path / "merged", definition, {"unk_token": "<unk>"}))
    assert [made.decode([i]) for i in made.encode("the th")] == ["the", " ", "th"]
    assert made.lost("the xthe") == [("x", "<unk>")]
    definition["model"] |= {"unk_token": "the"}
    with pytest.raises(DataError, match=r"model\.unk_token the: ordinary text becomes it, too"):
        load_tokenizer(write(tmp_path / "unknown", definition, {}))


def test_roles_are_those_of_special_tokens_alone(tmp_path):
    definition = deepcopy(MADE["word"].definition())
    names = ["<pad>", "<mask>", "<cls>", "<sep>", "<user>", "<assistant>"]
    first = definition["added_tokens"][-1]["id"] + 1
    definition["added_tokens"] += [
        {**ADDED, "special": True, "content": name, "id": first + i} for i, name in enumerate(names)
    ]
    config = {f"{name.strip('<>')}_token": name for name in names}
    config |= {"unk_token": {"content": "<unk>"}, "pad_token": "the"}
    made = load_tokenizer(write(tmp_path / "given", definition, config))
    roles = made.roles
    assert (roles.unk_token_id, roles.pad_token_id) == (0, None)
    found = (roles.mask_token_id, roles.cls_token_id, roles.sep_token_id, roles.user_token_id)
    assert (*found, roles.assistant_token_id) == tuple(range(first + 1, first + 6))
    made.save(tmp_path / "saved")
    assert load_tokenizer(tmp_path / "saved").roles == roles
