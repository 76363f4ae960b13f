"""The named scenarios, as data."""

from __future__ import annotations

import difflib
import json
import tomllib
from pathlib import Path

from pydantic import ValidationError

from scenarios import claims, tutorial
from scenarios.scenario import Axis, Constraint, Scenario, Value, Variant

# Half octaves over a ratio of 64: 13 sizes tell n^2 from n^1.5 and n^2.5 in over 95 % of simulated runs.
LENGTHS_CPU: list[Value] = [64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096]
LENGTHS_CUDA: list[Value] = [256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384]
HEAD_DIMS: list[Value] = [16, 24, 32, 48, 64, 96, 128, 192, 256]
HEADS: list[Value] = [1, 2, 3, 4, 6, 8, 10, 12, 16]
# Compiled anew for each shape, three seconds a case or more: for `compiled`, and where asked for by name.
COMPILED = ["flex*"]
# Row by row a GPU launches hundreds of thousands of kernels per call in these sweeps: minutes for no new answer.
LAUNCHED = ["loop", *COMPILED]
DIVISORS: list[Value] = [1, 2, 4, 8, 16, 32, 64, 128, 256]

SEQUENCE_LENGTH = Scenario(
    name="sequence-length",
    question="Does the cost of attention grow as n^2 with the sequence length, and who needs n^2 memory?",
    axes=[Axis(name="n", values=LENGTHS_CPU)],
    base={"d": 64, "heads": 2, "batch": 1},
    exclude=COMPILED,
    claims=claims.LENGTH_CLAIMS,
    on={
        "cuda": Variant(
            axes=[Axis(name="n", values=LENGTHS_CUDA)],
            base={"d": 64, "heads": 16, "batch": 1},
            dtypes=["bfloat16", "float16"],
        )
    },
)
HEAD_DIM = Scenario(
    name="head-dim",
    question="Is the cost linear in the head dimension d?",
    axes=[Axis(name="d", values=HEAD_DIMS)],
    base={"n": 512, "heads": 2, "batch": 1},
    exclude=COMPILED,
    claims=[claims.A2],
    on={"cuda": Variant(base={"n": 4096, "heads": 16, "batch": 1}, dtypes=["bfloat16"], exclude=LAUNCHED)},
)
HEADS_GROWING = Scenario(
    name="heads",
    question="Is the cost linear in the number of heads, when each head keeps its size?",
    axes=[Axis(name="heads", values=HEADS)],
    base={"n": 512, "d": 64, "batch": 1},
    exclude=COMPILED,
    claims=[claims.A2],
    on={"cuda": Variant(base={"n": 4096, "d": 64, "batch": 1}, dtypes=["bfloat16"], exclude=LAUNCHED)},
)
HEADS_FIXED_WIDTH = Scenario(
    name="heads-fixed-width",
    question="What does it cost to split a fixed width into more heads?",
    axes=[Axis(name="heads", values=DIVISORS, tied={"d": "256 / heads"})],
    base={"n": 256, "batch": 1},
    # At 256 heads a Python loop visits 65,536 rows a call: minutes for no new answer.
    exclude=["loop", *COMPILED],
    claims=[claims.B3_PRODUCTS, claims.B3_SOFTMAX],
    on={
        "cuda": Variant(
            axes=[Axis(name="heads", values=[8, 16, 32, 64, 128], tied={"d": "2048 / heads"})],
            base={"n": 2048, "batch": 1},
            dtypes=["bfloat16"],
        )
    },
)
BATCH = Scenario(
    name="batch",
    question="Is the cost linear in the batch size?",
    axes=[Axis(name="batch", values=HEADS)],
    base={"n": 512, "d": 64, "heads": 1},
    exclude=COMPILED,
    claims=[claims.A2],
    on={"cuda": Variant(base={"n": 2048, "d": 64, "heads": 16}, dtypes=["bfloat16"], exclude=LAUNCHED)},
)
GRID = Scenario(
    name="grid",
    question="Does one law, n^2 d heads batch, hold when all four change together?",
    axes=[
        Axis(name="n", values=[128, 256, 512]),
        Axis(name="d", values=[32, 128]),
        Axis(name="heads", values=[1, 4]),
        Axis(name="batch", values=[1, 4]),
    ],
    exclude=["loop", *COMPILED],
    constraints=[
        Constraint(product=["n", "n", "heads", "batch"], at_most=2**24, reason="its score matrix has too many elements")
    ],
    claims=[claims.A2],
    on={
        "cuda": Variant(
            axes=[
                Axis(name="n", values=[512, 1024, 2048, 4096]),
                Axis(name="d", values=[64, 128]),
                Axis(name="heads", values=[8, 32]),
                Axis(name="batch", values=[1, 4]),
            ],
            dtypes=["bfloat16"],
        )
    },
)
SMOKE = Scenario(
    name="smoke",
    question="Does everything work here? Tiny sizes, seconds in all.",
    axes=[Axis(name="n", values=[16, 32, 48])],
    base={"d": 8, "heads": 2, "batch": 1},
    exclude=COMPILED,
    claims=[claims.A2],
    on={"cuda": Variant(base={"d": 64, "heads": 2, "batch": 1}, dtypes=["float16"])},
)

COMPILED_LENGTH = Scenario(
    name="compiled",
    question="What does a kernel gain that is compiled for its shape and its mask?",
    axes=[Axis(name="n", values=[128, 256, 512, 1024, 2048, 4096]), Axis(name="causal", values=[False, True])],
    base={"d": 64, "heads": 2, "batch": 1},
    implementations=["batched", "sdpa-flash", *COMPILED],
    claims=[claims.B2, claims.B5],
    on={
        "cuda": Variant(
            axes=[
                Axis(name="n", values=[512, 1024, 2048, 4096, 8192, 16384]),
                Axis(name="causal", values=[False, True]),
            ],
            base={"d": 64, "heads": 16, "batch": 1},
            dtypes=["bfloat16"],
        )
    },
)

CATALOG: tuple[Scenario, ...] = (
    SEQUENCE_LENGTH,
    HEAD_DIM,
    HEADS_GROWING,
    HEADS_FIXED_WIDTH,
    BATCH,
    GRID,
    SMOKE,
    COMPILED_LENGTH,
    *tutorial.SCENARIOS,
)
DEFAULT: tuple[str, ...] = ("sequence-length", "head-dim", "heads", "heads-fixed-width", "batch", "grid")


class ScenarioError(ValueError):
    """A scenario can't be found or read; the message lists every mistake, a line each."""


def find(name: str) -> Scenario:
    """Return a scenario by its name in the catalog, or from a TOML file by its path. Raises ScenarioError."""
    known = {scenario.name: scenario for scenario in CATALOG}
    if name in known:
        return known[name]
    if name.endswith(".toml") or "/" in name:
        return read(Path(name))
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    raise ScenarioError(f"no scenario {name!r}{hint} have: {', '.join(known)}, or a path to a TOML file")


def read(path: Path) -> Scenario:
    """Read a scenario from a TOML file. Raises ScenarioError with all of its mistakes at once."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScenarioError(f"scenario {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScenarioError(f"scenario {path} is not TOML: {error}") from None
    document.setdefault("name", path.stem)
    try:
        return Scenario.model_validate(document)
    except ValidationError as error:
        raise ScenarioError("\n".join(_mistakes(path, error))) from None


def _mistakes(path: Path, error: ValidationError) -> list[str]:
    lines = []
    for mistake in error.errors():
        place = ".".join(str(part) for part in mistake["loc"])
        message = mistake["msg"].removeprefix("Value error, ")
        if mistake["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(mistake["loc"][-1]), Scenario.model_fields, n=1)
            message = "unknown field" + (f"; did you mean {near[0]!r}?" if near else "")
        lines.append(f"scenario {path}: {place + ': ' if place else ''}{message}")
    return lines


def schema() -> str:
    """Return the JSON Schema of a scenario file, as published beside this module."""
    return json.dumps(Scenario.model_json_schema(), indent=1) + "\n"


def parse_axis(text: str) -> tuple[str, list[Value]]:
    """Read `n=512,1024`, `n[pow2]=9:13` (2^9 to 2^13) or `n=64:256:64` (first:last:step) from the command line.

    Raises ScenarioError that shows the forms.
    """
    name, equals, values = text.partition("=")
    name, bracket, form = name.partition("[")
    try:
        if bracket and form == "pow2]":
            first, last, *step = (int(part) for part in values.split(":"))
            return name, [2**power for power in range(first, last + 1, *step)]
        if ":" in values and not bracket:
            first, last, *step = (int(part) for part in values.split(":"))
            return name, list(range(first, last + 1, *step))
        parsed = [_value(part) for part in values.split(",")] if equals and not bracket else []
    except (ValueError, TypeError):
        parsed = []
    if not parsed:
        raise ScenarioError(f"axis {text!r} must read n=512,1024 or n[pow2]=9:13 or n=64:256:64")
    return name, parsed


def _value(text: str) -> Value:
    words: dict[str, Value] = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        if text.isidentifier():
            return text
        raise
