"""Claims are judged by records and counts."""
