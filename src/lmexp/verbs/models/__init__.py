"""Verbs that take a model."""
