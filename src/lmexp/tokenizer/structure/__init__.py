"""What follows for every text from the parts that a tokenizer is made of.

A promise about all texts cannot be tried on some. `check_structure` reads tokenizer.json and says what its
tokens stand for, or refuses it with the field, its value and what to do about it. One file for each kind
says which parts it takes, `parts` what holds of all kinds.
"""

from lmexp.tokenizer.structure.alphabet import byte_characters
from lmexp.tokenizer.structure.check import check_structure
from lmexp.tokenizer.structure.parts import Structure, check_ids
from lmexp.tokenizer.structure.words import split_words

__all__ = ["Structure", "byte_characters", "check_ids", "check_structure", "split_words"]
