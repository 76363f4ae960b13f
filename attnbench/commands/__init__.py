"""One file per command; those that hold runs against each other share a room. Bodies import what they need."""
