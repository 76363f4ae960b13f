"""Samples to numbers: medians, intervals, stopping, comparison."""
