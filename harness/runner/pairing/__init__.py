"""Two builds of one thing, measured side by side: two workers on one device, visited in turn."""
