"""Discovery: where implementations are found, and what becomes of a source that fails to load."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from impls.contract import Unavailable
from impls.registry import REGISTRY, problem_folders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType

    from impls.registry import Registry

ENTRY_POINT_GROUP = "attnbench.implementations"
# What `announce` is told before the import of a source: this, then the source.
IMPORTING = "import "
# The source of what an installed package offers begins so.
ENTRY_POINT = "entry point "
# Hexadecimal digits of a digest: two versions of a file share one once in 2^64.
DIGEST_LENGTH = 16


def discover(
    *,
    impl_files: Iterable[str | Path] = (),
    announce: Callable[[str], object] = lambda _: None,
    skip: Mapping[str, str] | None = None,
) -> Registry:
    """Find every implementation: the problem folders, installed entry points, then the given files.

    A file that fails to import leaves its implementations as `Unavailable` with the reason. Each source is loaded
    once a process. `announce` is told each source before it is imported; `skip` maps sources that are known to kill
    the process to the reason.
    """
    load = functools.partial(_load, announce=announce, skip=skip or {})
    for folder in problem_folders():
        for file in sources(folder):
            module = ".".join(("impls", *file.relative_to(folder.parent).with_suffix("").parts))
            load(module, problem=folder.name, file=file, importer=functools.partial(importlib.import_module, module))
    for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        package = f"{point.dist.name} {point.dist.version}" if point.dist else ""
        load(
            f"{ENTRY_POINT}{point.name}", problem="attention", file=None, importer=point.load, name=point.name,
            package=package, beside=_package_content(point),
        )  # fmt: skip
    for impl_file in impl_files:
        path = Path(impl_file).resolve()
        load(str(path), problem="attention", file=path, importer=functools.partial(_import_file, path))
    return REGISTRY


def _load(
    key: str,
    *,
    problem: str,
    file: Path | None,
    importer: Callable[[], object],
    announce: Callable[[str], object],
    skip: Mapping[str, str],
    name: str | None = None,
    package: str = "",
    beside: bytes = b"",
) -> None:
    if key in REGISTRY.loaded:
        return
    # Before the import, so that no edit comes between what is run and what is hashed.
    content = _content(file) + b"".join(map(_content, helpers(file) if file else ())) + beside
    REGISTRY.loaded.add(key)
    before = dict(REGISTRY.entries)
    try:
        announce(IMPORTING + key)
        (functools.partial(_refuse, skip[key]) if key in skip else importer)()
    except (KeyboardInterrupt, MemoryError):
        raise
    # A plugin may fail in any way, sys.exit included; the reason becomes data here.
    except BaseException as error:  # noqa: BLE001
        REGISTRY.entries.clear()
        REGISTRY.entries.update(before)
        reason = f"{type(error).__name__}: {error}".strip().rstrip(":")
        declared = _declared_names(file) if file else []
        fallback = name or (file.stem.replace("_", "-") if file else key)
        for of, missing in declared or [(problem, fallback)]:
            where = str(file) if file else f"{key} of {package}" if package else key
            REGISTRY.unavailable[of, missing] = Unavailable(of, missing, reason, where)
    REGISTRY.brought_by.update(dict.fromkeys(REGISTRY.entries.keys() - before.keys(), key))
    # Whoever imported the module before left its implementations without a digest.
    known = {one for one in before if one in REGISTRY.digests or Path(before[one].source) != file}
    for added in REGISTRY.entries.keys() - known:
        source = Path(REGISTRY.entries[added].source)
        told = content if file is not None and source == file else _content(source)
        REGISTRY.digests[added] = hashlib.sha256(package.encode() + b"\0" + content + told).hexdigest()[:DIGEST_LENGTH]


def sources(folder: Path) -> list[Path]:
    """List the files of a problem's folder that hold implementations, then those of its sub-folders."""
    found = sorted(folder.glob("*.py")) + sorted(folder.glob("*/*.py"))
    return [file for file in found if file.stem != "problem" and not file.stem.startswith("_")]


def built_in_names(problem: str) -> list[str]:
    """List the names that the files of a problem's folder declare, from their syntax alone."""
    files = [file for folder in problem_folders() if folder.name == problem for file in sources(folder)]
    return list(dict.fromkeys(name for file in files for of, name in _declared_names(file) if of == problem))


def helpers(file: Path) -> list[Path]:
    """List the files beside an implementation's that it imports by name, and those that these import, in order.

    Modules are looked for as files in the same folder, or as packages there.
    """
    found, left = [], [file]
    while left:
        for name in _imported_names(left.pop(0)):
            place = file.parent.joinpath(*name.split("."))
            for candidate in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
                if candidate.is_file() and candidate != file and candidate not in found:
                    found.append(candidate)
                    left.append(candidate)
    return found


def _package_content(point: importlib.metadata.EntryPoint) -> bytes:
    """Return the sources of the package that an entry point names, then what its installer recorded of every file.

    Sources tell edits of an installation that can be edited apart, the record what was compiled.
    """
    try:
        spec = importlib.util.find_spec(point.module.partition(".")[0])
    # A finder of some package's own may fail in its way; the import then says why.
    except (ImportError, ValueError, AttributeError):
        spec = None
    folders = list(spec.submodule_search_locations or ()) if spec else []
    files = [file for folder in folders for file in sorted(Path(folder).rglob("*.py"))]
    if spec and spec.origin and not folders:
        files = [Path(spec.origin)]
    record = point.dist.read_text("RECORD") if point.dist else None
    return b"".join(map(_content, files)) + (record or "").encode()


def _imported_names(file: Path) -> list[str]:
    """List the modules that a file may import, from its syntax alone; nothing where that can't be read."""
    try:
        tree = ast.parse(_content(file))
    except (SyntaxError, ValueError):
        return []
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names += [module] * bool(module) + [f"{module}.{alias.name}".lstrip(".") for alias in node.names]
    return [name for name in names if all(part.isidentifier() for part in name.split("."))]


def _content(file: Path | None) -> bytes:
    """Return a file's content, nothing where it can't be read."""
    try:
        return file.read_bytes() if file is not None and file.is_file() else b""
    except OSError:
        return b""


def _refuse(reason: str) -> None:
    raise ImportError(reason)


def _declared_names(file: Path) -> list[tuple[str, str]]:
    """Read the (problem, name) pairs a file would have registered, from its syntax alone."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return []
    found: list[tuple[str, str]] = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "register"):
            continue
        literal = {
            word.arg: word.value.value
            for word in node.keywords
            if word.arg in {"problem", "name"} and isinstance(word.value, ast.Constant)
        }
        pair = (str(literal.get("problem", "attention")), str(literal.get("name", "")))
        if pair[1] and pair not in found:
            found.append(pair)
    return found


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    module_name = f"attnbench_file_{path.stem}_{abs(hash(str(path))):x}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return module
