"""Where things lie in the checkout: its root, planted implementations, runs that older versions wrote."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLANTED = ROOT / "tests" / "support" / "planted"
STORED = ROOT / "tests" / "support" / "stored"
