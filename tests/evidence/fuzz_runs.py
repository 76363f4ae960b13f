"""Ten thousand run directories that no run would leave: each gives its report and exports, or lines that say why not.

`nox -s fuzz-runs -- --runs 10000` prints what came out; it ends with 1 where a directory gave a
traceback or a warning, took over 2 s of processor time in a command, or where the process came to need over 500 MB
more than it began with.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.results.journal import ENVIRONMENT, JOURNAL, PLAN, SUMMARY, VERDICTS
from harness.results.run import read_run
from reports.exports.export import FORMATS, export
from reports.exports.markdown import markdown
from reports.frame import frame
from reports.page.render import write
from tests.support.runs import make_gpu_run, make_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.results.run import Run

SECONDS_AT_MOST = 2.0
# What takes longer is done so many times and the least taken: neighbours slow a processor down, a file does each time.
TIMES = 3
BYTES_AT_MOST = 500 * 10**6
# One directory in so many has its page rendered too, which costs half a second.
PAGE_EVERY = 10
# After so many, what came out so far is said on standard error.
SAID_EVERY = 250
FILES = (PLAN, JOURNAL, ENVIRONMENT, SUMMARY, VERDICTS)
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 0.5, 1e300, -1e300, 1e-300, 5e-324, 10**30, 2**63, 10**200, 10**309),
    *("", "x", "\ud800", "$\\frac$", "<b>", "=1+1", "\x00", "\x1b[31m", "n" * 5000, "2026", "1.2.0", "9.0.0"),
    *([], {}, [[]], [None], [1], [1.0, 2.0], ["a"], {"a": 1}, {"": None}, {"n": "x"}, [0.0] * 30),
    *(float("nan"), float("inf")),
)


def base(folder: Path, *, number: int) -> Path:
    """Make the run that a directory is made of: a finished one, a device's, or one cut off in its rounds."""
    directory = folder / f"base{number}"
    if number == 1:
        return make_gpu_run(directory)
    make_run(directory, sweeps=("sequence-length",), cases=12 if number == 0 else 8, complete=number == 0)
    if number == 0:
        return directory
    lines = [json.loads(line) for line in (directory / JOURNAL).read_text(encoding="utf-8").splitlines()]
    cut = []
    for line in lines:
        if line["kind"] == "record" and line["record"]["status"] == "ok":
            record = line["record"]
            learnt = {name: record[name] for name in ("agreement", "counts", "memory", "ran")}
            learnt["ran"] = learnt["ran"] or {"operators": {"aten::bmm": 2}}
            prepared = {**learnt, "call_seconds": record["time"]["median"], "warm_up_calls": 3}
            line = {"kind": "prepared", "case": record["case"]["id"], "prepared": prepared}  # noqa: PLW2901
        cut.append(line)
    (directory / JOURNAL).write_text("".join(json.dumps(line) + "\n" for line in cut), encoding="utf-8")
    (directory / SUMMARY).unlink()
    return directory


def damaged(directory: Path, draw: random.Random) -> str:
    """Damage a run directory in one to three places; return what was done."""
    done = []
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        path = directory / draw.choice((*FILES, JOURNAL))
        if not path.is_file() or path.stat().st_size > 10**8:
            continue
        how = draw.choices((_odd_value, _bytes, _replaced), weights=(12, 2, 1))[0]
        done.append(f"{path.name}: {how(path, draw)}")
    return "; ".join(done)


def _odd_value(path: Path, draw: random.Random) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.name == JOURNAL else []
    try:
        if lines:
            index = draw.randrange(len(lines))
            document, said = _changed(json.loads(lines[index]), draw)
            lines[index] = json.dumps(document)
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
            return f"line {index + 1} {said}"
        document, said = _changed(json.loads(path.read_text(encoding="utf-8")), draw)
        path.write_text(json.dumps(document), encoding="utf-8")
    except (ValueError, RecursionError):
        return "left as it was"
    return said


def _changed(document: Any, draw: random.Random) -> tuple[Any, str]:
    document = copy.deepcopy(document)
    parent, where = document, []
    while True:
        if not isinstance(parent, dict | list) or not parent:
            return draw.choice(ODD), "all"
        key = draw.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
        where.append(str(key))
        child = parent[key]
        if isinstance(child, dict | list) and child and draw.random() < 0.85:
            parent = child
            continue
        how = draw.choice(("set", "set", "set", "drop", "extra", "deep"))
        if how == "drop":
            del parent[key]
        elif how == "extra" and isinstance(parent, dict):
            parent[f"{key}x"] = draw.choice(ODD)
        elif how == "deep":
            for _ in range(draw.choice((20, 300, 900))):
                child = [child]
            parent[key] = child
        else:
            parent[key] = draw.choice(ODD)
        return document, f"{how} {'.'.join(where)}"


def _bytes(path: Path, draw: random.Random) -> str:
    content = bytearray(path.read_bytes())
    how = draw.choice(("cut", "flip", "empty", "utf-16", "twice", "deep"))
    if how == "cut":
        del content[draw.randrange(len(content) + 1) :]
    elif how == "flip" and content:
        for _ in range(10):
            content[draw.randrange(len(content))] = draw.randrange(256)
    elif how == "empty":
        content.clear()
    elif how == "utf-16":
        content = bytearray(content.decode(errors="replace").encode("utf-16"))
    elif how == "twice":
        content = content * 2
    elif how == "deep":
        content = bytearray(b"[" * 100_000)
    path.write_bytes(content)
    return how


def _replaced(path: Path, draw: random.Random) -> str:
    path.unlink()
    how = draw.choice(("gone", "directory", "loop", "pipe", "sparse"))
    if how == "directory":
        path.mkdir()
    elif how == "loop":
        path.symlink_to(path)
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "sparse":
        with path.open("wb") as file:
            file.truncate(2**40)
    return how


def commands(*, with_page: bool) -> Iterator[tuple[str, Callable[[Run], object]]]:
    """Yield what is asked of each directory that can be read."""
    yield "frame", frame
    yield "markdown", lambda run: markdown([run]).encode()
    for form in FORMATS:
        if form != "parquet":
            yield form, lambda run, form=form: export(run, to=form)  # type: ignore[misc]
    if with_page:
        # Written beside the run, as `report` does.
        yield "page", lambda run: write([run], run.path / "out.html")


def outcome(directory: Path, *, with_page: bool) -> str:
    """Return what came of a directory: "read", "refused", or what is wrong."""
    runs: list[Run] = []
    steps = (("read_run", lambda: runs.append(read_run(directory))), *_steps(runs, with_page=with_page))
    for name, step in steps:
        try:
            seconds = least_seconds(step)
        except Exception as error:  # noqa: BLE001  # this is what is looked for
            if name != "read_run" or not isinstance(error, ValueError):
                return f"{name}: {_place(error)}"
            said = str(error).splitlines()
            if type(error) is ValueError or not said or any(len(line) > 700 for line in said):
                return f"not one of ours: {type(error).__name__} {error}"
            return "refused"
        if seconds > SECONDS_AT_MOST:
            return f"{name}: slow, {seconds:.1f} s"
    return "read"


def _steps(runs: list[Run], *, with_page: bool) -> Iterator[tuple[str, Callable[[], object]]]:
    for name, command in commands(with_page=with_page):
        yield name, lambda command=command: command(runs[0])  # type: ignore[misc]


def least_seconds(step: Callable[[], object], *, at_most: float = SECONDS_AT_MOST) -> float:
    """Take a step, again while it takes longer than `at_most`; return its least seconds of processor time."""
    taken: list[float] = []
    while len(taken) < TIMES and (not taken or min(taken) > at_most):
        began = time.process_time()
        step()
        taken.append(time.process_time() - began)
    return min(taken)


def _place(error: Exception) -> str:
    """Say what rose, and where in our code."""
    frames = traceback.extract_tb(error.__traceback__)
    last = [f"{Path(f.filename).name}:{f.lineno}" for f in frames if "/site-packages/" not in f.filename][-1]
    return f"{type(error).__name__} at {last}: {str(error)[:120]}"


def main() -> int:
    """Run the fuzzer; return 1 if anything fell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found: Counter[str] = Counter()
    examples: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bases = [base(folder, number=number) for number in range(3)]
        began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(options.runs):
            draw = random.Random(options.seed + number)
            directory = folder / "run"
            shutil.copytree(bases[number % len(bases)], directory)
            done = damaged(directory, draw)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                said = outcome(directory, with_page=number % PAGE_EVERY == 0)
            found[said if said in {"read", "refused"} else said.split(": ")[0] + said[said.find(": ") :][:150]] += 1
            examples.setdefault(said, f"{options.seed + number}: {done}")
            shutil.rmtree(directory)
            if (number + 1) % SAID_EVERY == 0:
                print(f"{number + 1}: {dict(found)}", file=sys.stderr, flush=True)  # noqa: T201
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - began) * 1024
    for said, count in found.most_common():
        with contextlib.suppress(KeyError):
            print(f"{count:6} {said}   ({examples[said]})"[:400])  # noqa: T201
    print(f"{options.runs} run directories, {grown / 1e6:.0f} MB more than at the start")  # noqa: T201
    return int(bool(set(found) - {"read", "refused"}) or grown > BYTES_AT_MOST)


if __name__ == "__main__":
    sys.exit(main())
