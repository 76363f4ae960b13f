"""The face of attnbench: the console script, `register` for implementations, `load` for run directories."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent


def check_rooms() -> None:
    """Exit with one line where another folder named like one of ours would be imported in its stead."""
    for room in ("harness", "impls", "scenarios", "reports"):
        spec = importlib.util.find_spec(room)
        origin = Path(spec.origin).resolve().parent if spec and spec.origin else None
        if origin != ROOT / room:
            print(  # noqa: T201
                f"attnbench: another package named {room!r} is in the way ({origin}); run from another folder",
                file=sys.stderr,
            )
            raise SystemExit(2)


check_rooms()

from impls.registry import register  # noqa: E402  # ours, now that it is certain

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["__version__", "load", "main", "register"]
__version__ = "0.1.0"


def load(run: str | Path) -> pd.DataFrame:
    """Return a run as a data frame, a row per case; see `reports.frame.load` for the columns."""
    from reports.frame import load as load_frame

    return load_frame(Path(run))


def main() -> None:
    """Run the command line."""
    from attnbench.app import make_app
    from attnbench.console import prepare_streams

    prepare_streams()
    make_app()()
