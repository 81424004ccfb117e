"""Processes that draw lines of text and whose entropy is computed exactly."""
