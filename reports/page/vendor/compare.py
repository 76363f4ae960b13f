"""Compare the vendored files with what the package registry publishes under the same version."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PACKAGE = "uplot@1.6.32"
# Vendored file -> its place in the package.
FILES = {
    "uplot/uPlot.iife.min.js": "package/dist/uPlot.iife.min.js",
    "uplot/uPlot.min.css": "package/dist/uPlot.min.css",
    "uplot/LICENSE": "package/LICENSE",
}


def main() -> int:
    """Fetch the package with npm and return 1 where a file differs."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True)  # noqa: S607
        archive = next(Path(folder).glob("*.tgz"))
        with tarfile.open(archive) as package:
            differing = [name for name, member in FILES.items() if _published(package, member) != _ours(name)]
    for name in FILES:
        print(f"{name}: sha256 {_ours(name)} {'differs' if name in differing else 'as published'}")  # noqa: T201
    return 1 if differing else 0


def _published(package: tarfile.TarFile, member: str) -> str:
    file = package.extractfile(member)
    return "" if file is None else hashlib.sha256(file.read()).hexdigest()


def _ours(name: str) -> str:
    return hashlib.sha256((HERE / name).read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
