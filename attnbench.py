"""The face of attnbench: `register` for implementations."""

from __future__ import annotations

from impls.registry import register

__all__ = ["register"]
