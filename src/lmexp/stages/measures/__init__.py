"""The stages that say what figures do not: whether they can be trusted, and how large a model is."""
