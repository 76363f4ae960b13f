"""What is asked: sweeps over n, d, heads and batch, declared as data."""
