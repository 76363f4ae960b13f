"""Comparing: two runs, or a run and a baseline, or implementations of one run, case by case."""
