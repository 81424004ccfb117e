"""Trains tokenizers whose tokens are pieces of words in Unicode characters: BPE and Unigram."""
