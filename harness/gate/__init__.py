"""Is it right? Calls held against the oracle."""
