"""Many devices: a plan cut into parts that each run as a run of its own, and their results joined; torch-free."""
