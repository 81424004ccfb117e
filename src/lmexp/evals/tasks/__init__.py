"""Tasks of prompts: embedded ones, those of a user's files, and the items that they ask."""
