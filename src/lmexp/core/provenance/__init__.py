"""Where a result comes from: whose code, on what machine, started how."""
