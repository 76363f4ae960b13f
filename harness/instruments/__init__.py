"""Instruments: what measures a call, or the device under it."""
