"""Tokenizers: training, loading, and how many bytes each token stands for."""
