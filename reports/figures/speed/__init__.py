"""Figures of speed: who is faster, and how close to what the machine can do."""
