"""Several models of one run on the same text, in the order of their bits per byte."""
