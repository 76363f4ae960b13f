"""What every test shares: tests of a GPU are skipped, with the reason, where there is none."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items):
    """Skip tests marked gpu where torch sees no CUDA device."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
