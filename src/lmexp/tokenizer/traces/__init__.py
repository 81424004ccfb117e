"""How a vocabulary comes about, step by step, slowly and in the open."""
