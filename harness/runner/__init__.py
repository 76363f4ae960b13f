"""The parent of a run: it plans, keeps workers alive, measures in rounds and closes cases; it never imports torch."""
