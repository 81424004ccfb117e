"""Token stores on disk and the pure function from a step number to a batch."""
