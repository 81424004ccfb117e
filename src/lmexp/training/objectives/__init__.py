"""What networks are trained to do, on which batches: one file for each objective."""
