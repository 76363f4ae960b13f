"""What is held against each other in turn: two implementations of a run, and two sides that are runs."""
