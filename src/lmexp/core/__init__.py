"""The engine: stages, fingerprints, store, leases and execution. Knows nothing of language models."""
