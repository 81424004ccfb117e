"""From configurations to a graph of stages, and what of it would run."""
