"""What a model says of whole texts: each token's surprisal, their sum, and which of several is likeliest.

With x_1 ... x_n the tokens of a text and c the prompt before it, by the chain rule

    ln p(x | c) = sum_i ln p(x_i | c, x_1 ... x_(i-1))

in nats; divided by -ln 2 it is bits of surprisal. Without a prompt a text begins a document. The token that
ends a document is not scored, since it stands for no bytes. Candidates are ranked by the sum: of a shorter
and a longer one the shorter is likelier, which `bits_per_byte` is not moved by.

A prompt and a text are encoded together, as they would be read (`encode_pairs`). A text that is longer than
the model's context is scored in pieces, each of which sees what stands before it (`lmexp.scoring.network`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmexp.errors import DataError
from lmexp.models.interface import LanguageModel, Pair
from lmexp.scoring.scorer import scorer_of
from lmexp.tokenizer.spelling import spelled_token
from lmexp.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class TextScore:
    """A text and what a model says of it."""

    text: str
    ids: tuple[int, ...]
    """Ids of its tokens."""
    tokens: tuple[str, ...]
    """What each stands for, as `lmexp.tokenizer.spelling` shows it."""
    log_probs: NDArray[np.float64]
    """ln p of each token, in nats; -inf for one that the model holds impossible."""

    @property
    def nats(self) -> float:
        """ln p of the text; 0 for one without tokens."""
        return float(self.log_probs.sum())

    @property
    def bits(self) -> float:
        """Surprisal of the text, -log2 p."""
        return float(self.surprisals.sum())

    @property
    def surprisals(self) -> NDArray[np.float64]:
        """Surprisal of each token, in bits."""
        return np.asarray(0.0 - self.log_probs / math.log(2))

    @property
    def bits_per_byte(self) -> float | None:
        """Surprisal over the bytes of the text; None for an empty one."""
        size = len(self.text.encode())
        return self.bits / size if size else None

    @property
    def perplexity(self) -> float | None:
        """exp of the mean surprisal of a token; None without tokens."""
        if not len(self.log_probs):
            return None
        mean = -self.nats / len(self.log_probs)
        return math.exp(mean) if mean < 709 else math.inf


def score_texts(
    model: LanguageModel, tokenizer: Tokenizer, texts: Sequence[str], *, prompt: str = ""
) -> list[TextScore]:
    """Return the score of each text after `prompt`, in order; without a prompt each begins a document.

    Errors: `DataError` for a text that is not Unicode, a model that gives no next token a probability, and a
    tokenizer that is not its own.
    """
    return score_lists(model, tokenizer, [(prompt, texts)])[0]


def score_lists(
    model: LanguageModel, tokenizer: Tokenizer, lists: Sequence[tuple[str, Sequence[str]]]
) -> list[list[TextScore]]:
    """Return the scores of several lists of candidates, each behind its own prompt; see `score_texts`.

    Errors: as there, and `DataError` for an empty text behind a prompt: no token of it is scored.
    """
    scorer = scorer_of(model, bos_token_id=tokenizer.bos_token_id, purpose="score")
    if tokenizer.vocab_size > model.vocab_size:
        raise DataError(
            f"the tokenizer has {tokenizer.vocab_size} tokens and the model {model.vocab_size}; "
            f"load both from the same directory."
        )
    for prompt, texts in lists:
        for text in (prompt, *texts):
            _check_unicode(text)
        if prompt and "" in texts:
            raise DataError("an empty text behind a prompt has no token to score; leave it out.")
    pairs = encode_pairs(tokenizer, [(prompt, text) for prompt, texts in lists for text in texts])
    rest = iter(pairs)
    groups = [[next(rest) for _ in texts] for _, texts in lists]
    return [
        [
            TextScore(text, tuple(ids), tuple(spelled_token(tokenizer, i) for i in ids), found)
            for text, (_, ids), found in zip(texts, group, scores, strict=True)
        ]
        for (_, texts), group, scores in zip(lists, groups, scorer.score_groups(groups), strict=True)
    ]


def ranking(scores: Sequence[TextScore]) -> list[int]:
    """Return the indices of `scores`, the likeliest first and the first one of equals."""
    return sorted(range(len(scores)), key=lambda i: (-scores[i].nats, i))


def encode_pairs(tokenizer: Tokenizer, texts: Sequence[tuple[str, str]]) -> list[Pair]:
    """Return the ids of each prompt and of its text, which are encoded together.

    White space at the end of a prompt is the text's, as tokens mostly begin with theirs. Of an encoding the
    tokens after len(encode(prompt)) are the text's, and the last one always is, also where the text merges
    into the prompt's last token. The prompt's begin with the tokenizer's start token, if there is one.
    """
    wholes = [prompt + text for prompt, text in texts]
    prompts = [prompt.rstrip() for prompt, _ in texts]
    different = list(dict.fromkeys(prompts))  # candidates mostly share theirs
    lengths = dict(zip(different, map(len, tokenizer.encode_batch(different)), strict=True))
    encoded = tokenizer.encode_batch(wholes)
    cuts = [min(lengths[prompt], max(len(ids) - 1, 0)) for prompt, ids in zip(prompts, encoded, strict=True)]
    start = tokenizer.start_ids
    return [([*start, *ids[:cut]], ids[cut:]) for cut, ids in zip(cuts, encoded, strict=True)]


def _check_unicode(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"the text is not valid UTF-8 at character {error.start}.") from None
