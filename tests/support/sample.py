"""What the ordinary suite takes of the gates' many tests: for each name one of its dtypes, always the same."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence


def marks(name: str, dtype: str, dtypes: Sequence[str]) -> list[pytest.MarkDecorator]:
    """Return no mark for the dtype that is drawn for a name, the mark of what only `--all-gates` runs for others."""
    return [] if dtype == random.Random(name).choice(list(dtypes)) else [pytest.mark.beyond_sample]
