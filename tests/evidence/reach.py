"""How far memory reaches, measured: the largest n that runs under an allocation cap, beside what is predicted.

`python -m tests.evidence.reach` prints a line for each implementation of attention that this CPU runs; `-- NAMES` for
some. Each has a process of its own, which may allocate the cap beyond what it holds before the tensors of a call.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from harness.instruments.memory import STATUS
from harness.policy import DEFAULT
from harness.protocol.messages import Predict
from harness.results.frontier import bytes_along
from harness.worker import prediction
from harness.worker.modelled import ModelledDevice
from impls import discovery, registry
from impls.subject import Subject
from tests.support.benches import bench_on
from tests.support.runs import ok_case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CAP = 32 * 2**20
# Many short sequences: bytes are those of a long one, operations a fraction.
POINT = {"d": 64, "heads": 1, "batch": 8}
# Sizes through which the predicted bytes go, as a plan's do.
PLANNED = (256, 512, 1024, 2048, 4096)
# Sizes are told apart by this share.
STEP = 1 / 64
# A first call is of so many tokens.
WARMING = 8
FITS, TOO_LARGE, BROKEN = 0, 10, 11
# What a prediction may be off by.
ALLOWED = 0.10
# glibc then gives each block of a tensor back when it is freed: what is held is what is used, and scores of a row leave
# no hole between rows that stay.
RETURNING = {"MALLOC_MMAP_THRESHOLD_": "4096", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_TOP_PAD_": "0"}


@dataclass(frozen=True)
class Reach:
    """The largest n that is predicted to fit into the cap, and the largest that ran."""

    name: str
    predicted: int
    measured: int

    @property
    def error(self) -> float:
        """Return by what share the prediction is too far, or, below zero, not far enough."""
        return self.predicted / self.measured - 1


def predicted_reach(name: str, *, cap: int, dtype: str = "float32", **point: Any) -> int:
    """Return the n at which the bytes that a plan predicts are the cap."""
    rates = dict.fromkeys(("float32", "float64", "bfloat16", "float16", "bytes"), 1e10)
    bench = bench_on("cpu", modelled=ModelledDevice("a device", rates, 2**50))
    case = ok_case(name).model_copy(update={"dtype": dtype})
    cases = [case.model_copy(update={"point": {**POINT, **point, "n": n}}) for n in PLANNED]
    found = [one.predicted for one in prediction.predict(bench, Predict(cases=cases)).predictions]
    needs = [one.resident_bytes + one.extra_bytes for one in found if one is not None]
    return int(bytes_along(list(zip(PLANNED, needs, strict=True)), cap).reach(cap))


def measured_reach(name: str, *, cap: int, near: int, dtype: str = "float32", **point: Any) -> int:
    """Return the largest n, between half and twice `near`, that runs under the cap, in a process of its own."""
    return apart("_search", {"name": name, "cap": cap, "near": near, "dtype": dtype, "point": point})


def runs(asked: Sequence[tuple[str, int, int]]) -> list[bool]:
    """Tell of each name, n and cap whether a call runs; one process is copied for each."""
    return apart("_ask", [list(one) for one in asked])


def apart(function: str, asked: Any) -> Any:
    """Call a function of this module in a process whose allocator gives back what is freed."""
    words = [sys.executable, "-c", f"from tests.evidence.reach import _child, {function}; _child({function})"]
    words.append(json.dumps(asked))
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **RETURNING}, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr else f"exit {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def _child(function: Callable[[Any], Any]) -> None:
    discovery.discover()
    sys.stdout.write(f"{json.dumps(function(json.loads(sys.argv[1])))}\n")


def _search(asked: dict[str, Any]) -> int:
    _load(asked["name"])
    settings = {"cap": asked["cap"], "dtype": getattr(torch, asked["dtype"]), **asked["point"]}
    return largest(lambda n: _fits_apart(asked["name"], n, **settings), near=asked["near"])


def _ask(asked: list[list[Any]]) -> list[bool]:
    for name, _, _ in asked:
        _load(name)
    return [_fits_apart(name, n, cap=cap, dtype=torch.float32) for name, n, cap in asked]


def _load(name: str) -> None:
    entry = registry.get("attention", name)
    if entry.load is not None:
        entry.load()


def largest(fits: Callable[[int], bool], *, near: int) -> int:
    """Return the largest n that fits, between half and twice `near`, told apart by a share of that."""
    step = max(1, round(near * STEP))
    low, high = near // 2 // step, 2 * near // step
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle * step):
            low = middle
        else:
            high = middle
    return low * step


def _fits_apart(name: str, n: int, **settings: Any) -> bool:
    """Tell whether a call runs, in a copy of this process: what another left free would be room the cap can't see."""
    copy = os.fork()
    if not copy:
        with contextlib.suppress(BaseException):
            # What a first call of all keeps is no size's.
            _fits(name, WARMING, **{**settings, "cap": 2**40})
            os._exit(FITS if _fits(name, n, **settings) else TOO_LARGE)
        os._exit(BROKEN)
    _, status = os.waitpid(copy, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in {FITS, TOO_LARGE}:
        raise RuntimeError(f"n = {n} ended with exit code {code}")
    return code == FITS


def _fits(name: str, n: int, *, cap: int, dtype: torch.dtype, **point: Any) -> bool:
    """Tell whether a call runs in `cap` bytes, its inputs included; what it prepares is made before."""
    problem, entry = registry.problem("attention"), registry.get("attention", name)
    parsed = problem.parse({**POINT, **point, "n": n})
    held = _held()
    subject = Subject(problem, entry, parsed, dtype, torch.device("cpu"))
    left = cap - subject.cost().input_bytes
    inputs = subject.inputs(seed=0)
    with torch.no_grad(), entry.entered():
        call = subject.bind(inputs)
        with _capped(max(_held(), held) + max(0, left)):
            try:
                call()
            # Each library says it in its own way.
            except (RuntimeError, MemoryError):
                return False
    return True


def _held() -> int:
    (line,) = [line for line in STATUS.read_text().splitlines() if line.startswith("VmData:")]
    return 1024 * int(line.split()[1])


@contextlib.contextmanager
def _capped(most: int) -> Iterator[None]:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def reach_of(name: str, *, cap: int = CAP, **settings: Any) -> Reach:
    """Predict and measure how far an implementation gets."""
    predicted = predicted_reach(name, cap=cap, **settings)
    return Reach(name, predicted, measured_reach(name, cap=cap, near=predicted, **settings))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(names: Sequence[str]) -> int:
    """Print a line for each implementation; 1 where a prediction is off by more than is allowed."""
    entries = discovery.discover().entries
    mine = [
        entry.name
        for (problem, _), entry in entries.items()
        if problem == "attention" and not entry.on_request and entry.limits_on("cpu")
    ]
    off = 0
    for name in names or mine:
        try:
            found = reach_of(name)
        except RuntimeError as error:
            _say(f"{name:<20} not measured: {error}")
            continue
        off += abs(found.error) > ALLOWED
        _say(f"{name:<20} predicted {found.predicted:>6}, ran {found.measured:>6}: {100 * found.error:+.1f} %")
    _say(f"policy {DEFAULT.version}, torch {torch.__version__}, {torch.get_num_threads()} threads, cap {CAP:,} B")
    return int(off > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
