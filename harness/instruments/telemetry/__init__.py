"""The state of the device while it works."""
