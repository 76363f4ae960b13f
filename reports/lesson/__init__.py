"""The lesson as one readable page."""
