"""What runs have measured, for people: pure functions of their records."""
