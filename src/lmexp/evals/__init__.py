"""Evaluation: perplexity on documents and multiple-choice prompts."""
