"""Documents: where text comes from, how it is deduplicated and split."""
