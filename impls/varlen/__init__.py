"""Implementations of the problem `varlen`."""
