"""Reads tokenizers that other programs wrote in forms of their own."""
