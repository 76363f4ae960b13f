"""Implementations of the problem `multihead`."""
