"""Compiling a network's blocks for training: when, of what, and where what is made is kept."""
