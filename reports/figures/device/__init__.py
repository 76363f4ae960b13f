"""Figures of the device: what its sensors said under load, and over the whole run."""
