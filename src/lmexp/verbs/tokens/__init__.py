"""Verbs that take a tokenizer, or show how one comes about."""
