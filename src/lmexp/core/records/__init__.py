"""What is written down of runs and sweeps, and what is read from it."""
