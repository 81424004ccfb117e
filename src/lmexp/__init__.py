"""lmexp: repeatable language-model experiments."""
