"""The primer: lessons whose rule is known only by its examples, for the corpus and the prompt tasks alike."""
