"""Implementations of the problem `attention`."""
