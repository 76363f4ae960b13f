"""A program is started under the recorder, and what its processes wrote becomes a scenario's calls."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from harness.recording import recorder
from scenarios.scenario import Call, Scenario

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# What a Python that starts imports from the first folder of its path; then the one that this file hides.
SITE = """import importlib.machinery, importlib.util, sys
def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
load("attnbench_recorder", {recorder!r}).begin({folder!r})
sys.path[:] = [place for place in sys.path if place != {folder!r}]
hidden = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
if hidden is not None and hidden.origin:
    load("sitecustomize", hidden.origin)
"""
# What is slow where it is not asked for by name.
LEFT_OUT = ["loop", "flex*"]


@dataclass(frozen=True)
class Recorded:
    """The calls that a program made, and how many of those that no scenario holds, by reason.

    `code` is how the program ended, `pythons` how many of its processes were listened to, `devices` where calls ran.
    """

    command: tuple[str, ...]
    code: int
    pythons: int
    calls: tuple[Call, ...]
    left_out: tuple[tuple[str, int], ...]
    devices: tuple[str, ...]

    @property
    def count(self) -> int:
        """Return the number of calls that a scenario holds."""
        return sum(call.weight for call in self.calls)


def record(command: Sequence[str], *, output: IO[str] | None = None) -> Recorded:
    """Run a program, and return the calls of attention that all of its Pythons made. Raises OSError.

    Its standard output goes to `output` where one is given.
    """
    with tempfile.TemporaryDirectory(prefix="attnbench-record-") as folder:
        text = SITE.format(recorder=str(Path(recorder.__file__).resolve()), folder=folder)
        (Path(folder) / "sitecustomize.py").write_text(text, encoding="utf-8")
        paths = [folder, *filter(None, [os.environ.get("PYTHONPATH")])]
        # A compiler would trace the calls once and keep them from being seen.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "TORCHDYNAMO_DISABLE": "1"}
        code = _ended(subprocess.Popen(list(command), env=environment, stdout=output))
        pythons = len(list(Path(folder).glob("began-*")))
        files = sorted(Path(folder).glob("calls-*.txt"))
        return gathered((file.read_text(encoding="utf-8") for file in files), command, code=code, pythons=pythons)


def _ended(program: subprocess.Popen[bytes]) -> int:
    """Wait for a program and return its exit code; what ends a server from the keyboard reaches it too."""
    try:
        return program.wait()
    except KeyboardInterrupt:
        return program.wait()


def gathered(files: Iterable[str], command: Sequence[str], *, code: int = 0, pythons: int = 1) -> Recorded:
    """Add up what processes wrote: calls of a kind, those of which a gradient was taken apart."""
    made: Counter[tuple[str, str]] = Counter()
    for text in files:
        kinds: dict[str, str] = {}
        for line in text.splitlines():
            if line.startswith("{"):
                kind = json.loads(line)
                kinds[str(kind["kind"])] = json.dumps(kind["call"], sort_keys=True)
            elif line.endswith("b"):
                made[kinds[line[:-1]], "forward"] -= 1
                made[kinds[line[:-1]], "forward+backward"] += 1
            else:
                made[kinds[line], "forward"] += 1
    left_out: Counter[str] = Counter()
    calls, devices = [], set()
    for (text, direction), weight in made.most_common():
        kind = json.loads(text)
        if not weight:
            continue
        if "left_out" in kind:
            left_out[kind["left_out"]] += weight
            continue
        devices.add(kind["device"])
        calls.append(
            Call.model_validate(
                {
                    "weight": weight,
                    "point": kind["point"],
                    "dtype": kind["dtype"],
                    "direction": direction,
                    "note": f"{kind['of']}; {kind['note']}",
                }
            )
        )
    return Recorded(
        command=tuple(command),
        code=code,
        pythons=pythons,
        calls=tuple(calls),
        left_out=tuple(left_out.most_common()),
        devices=tuple(sorted(devices)),
    )


def scenario_of(recorded: Recorded, *, name: str) -> Scenario:
    """Return the scenario of a program's calls."""
    return Scenario(
        name=name,
        question=f"What does the attention of `{shlex.join(recorded.command)}` cost, all of its calls together?",
        calls=list(recorded.calls),
        exclude=LEFT_OUT,
    )


def to_toml(recorded: Recorded, scenario: Scenario) -> str:
    """Write the scenario as a file, with what was left out as remarks."""
    kinds = len(recorded.calls)
    lines = [f"# {recorded.count} calls of {kinds} kinds, recorded on {', '.join(recorded.devices) or 'no device'}."]
    lines += [f"# Left out: {count} calls: {' '.join(reason.split())}" for reason, count in recorded.left_out]
    lines += [f"question = {_quoted(scenario.question)}", f"exclude = {_quoted(scenario.exclude)}"]
    for call in scenario.calls:
        point = ", ".join(f"{name} = {_quoted(value)}" for name, value in call.point.items())
        lines += ["", "[[calls]]", f"weight = {call.weight}", f"point = {{ {point} }}"]
        lines += [f"{name} = {_quoted(getattr(call, name))}" for name in ("dtype", "direction", "note")]
    return "\n".join(lines) + "\n"


def _quoted(value: object) -> str:
    """Write a value as TOML does, in which JSON's strings, numbers, words and lists are written alike."""
    return json.dumps(value).replace("\x7f", "\\u007f")
