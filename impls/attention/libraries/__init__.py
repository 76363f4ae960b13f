"""Attention of other libraries, measured where it is asked for by name; packages are imported when first called."""
