"""Other people's files become rows, and their cells numbers."""
