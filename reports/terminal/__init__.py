"""What a terminal shows: the table of a run, a check, a diagnosis, a verification."""
