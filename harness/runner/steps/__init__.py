"""The steps of a run, each a plain function over its state."""
