"""Attention of libraries for CUDA, written from their documentation: each is held to the gate on first contact."""
