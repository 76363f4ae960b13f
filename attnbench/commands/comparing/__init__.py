"""The commands that hold runs against each other."""
