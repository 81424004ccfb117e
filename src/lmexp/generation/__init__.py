"""Text from a trained model: filtered sampling with a cache of keys and values."""
