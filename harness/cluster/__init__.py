"""Measure one sweep on many devices: chunks of curves go to workers, each a whole run in a process of its own."""
