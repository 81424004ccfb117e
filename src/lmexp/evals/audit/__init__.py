"""The audit: whether figures mean what they say."""
