"""Runs and checks in forms that other programs read."""
