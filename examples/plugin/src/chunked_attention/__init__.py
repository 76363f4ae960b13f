"""Attention in chunks of queries: the scores of one chunk exist at a time."""

from chunked_attention.attend import attend

__all__ = ["attend"]
