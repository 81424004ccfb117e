"""What lies on disk: artifacts with their records, leases and attempts."""
