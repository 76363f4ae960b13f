"""Implementations of the problem `pooling`."""
