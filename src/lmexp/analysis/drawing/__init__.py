"""Marks on a page: axes, dots, lines, tables and numbers."""
