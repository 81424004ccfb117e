"""Language models: the decoder-only Transformer and the count-based bigram."""
