"""Cost against a swept size."""
