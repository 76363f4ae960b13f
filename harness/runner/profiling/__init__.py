"""One case taken apart: which one, what its worker says, what bounds it, and what to paste for other profilers."""
