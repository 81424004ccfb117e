"""What networks are trained to do: one file for each objective."""
