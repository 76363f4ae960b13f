"""Sizes and costs become laws."""
