"""Texts on which two encoders of one vocabulary would differ, if they differed at all.

They hold what pre-tokenizers treat by special rules (contractions, runs of white space, kinds of
digits, scripts, characters of several code points), what a special token looks like, and runs long
enough to leave a fast path. All characters are old ones, which every Unicode table has.
"""

import numpy as np

from lmexp.tokenizer.roles import END_OF_TEXT
from lmexp.tokenizer.tokenizer import Tokenizer

_HARD = (
    "",
    " ",
    "\n",
    "\x00\x01\x7f\x80",
    f"text is data: {END_OF_TEXT}{END_OF_TEXT} {END_OF_TEXT}\n<|endoftext",
    "can't I'll WE'LL they've 'S 's'd 'm'll re've ' d ''''ll 'lll \u2019s don\u2019t",
    "line\r\nline\r\n\r\n line\n\n\n   line \r\r \t\t\v\f end  \n",
    "tabs\t\tand   spaces \u00a0\u00a0nbsp\u2003em\u3000wide\u2028line\u2029\u0085next\u200bzero\ufeff",
    "a  b   c    d     e      f \n  g\n   h\n\n    i",
    "1 12 123 1234 12345678901234567890 3.14159 1e-9 0x1F a1b2 \u0661\u0662\u0663 \u00bd\u00b2\u2167\u2460",
    "na\u00efve e\u0301te\u0301 \u00c5ngstr\u00f6m \u1e9e\u017f\ufb01 Stra\u00dfe \u0130i\u0131I",
    "\u0440\u0443\u0441\u0441\u043a\u0438\u0439 \u05e2\u05d1\u05e8\u05d9\u05ea \u0627\u0644\u0639\u0631 "
    "\u0939\u093f\u0928\u094d\u0926\u0940 \u0e44\u0e17\u0e22 \u4e2d\u6587\u5b57 \ud55c\uad6d\uc5b4 \u306a",
    "\U0001f600 \U0001f469\u200d\U0001f469\u200d\U0001f467\ufe0f\U0001f1eb\U0001f1f7 "
    "\U00020000\U0001d54f \ue000",
    "!?!...--__ ;;;{{{}}} ((())) ###$$$%%% a_b-c.d,e;f:g/h\\i|j~k`l",
    " " * 5000,
    "a" + " " * 3000 + "b",
    "\n" * 3000 + "x",
    "a" * 3000,
    "ab" * 2000,
    "!" * 3000,
    "7" * 3000,
    "\u00e9" * 1500,
    "\u4e2d" * 1500,
)


def hard_texts(tokenizer: Tokenizer) -> list[str]:
    """Return the fixed texts, and one joined from two random tokens for each token, at most 4,096."""
    generator = np.random.default_rng(0)
    pairs = generator.integers(0, tokenizer.vocab_size, (min(tokenizer.vocab_size, 4096), 2))
    joined = [tokenizer.decode(pair) for pair in pairs[(pairs != tokenizer.eos_token_id).all(axis=1)]]
    return [*_HARD, *joined]
