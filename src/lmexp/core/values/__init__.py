"""What the rest of the engine is made of: checked configurations, hashes, files, words."""
