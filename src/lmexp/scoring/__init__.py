"""Log-probabilities of continuations, whatever the model."""
