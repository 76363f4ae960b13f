"""The named scenarios, as data."""

from __future__ import annotations

import difflib
import json
import stat
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from scenarios import claims, shapes, tutorial, values, varlen
from scenarios.scenario import Axis, Constraint, Scenario, Value, Variant

if TYPE_CHECKING:
    from collections.abc import Iterable

# Sizes of the default sweeps are chosen so that time decides the true law in at least nine of ten simulated runs at the
# 2.7 to 5 % that times repeat by (tests/evidence/test_design.py): a range of 64, and a fixed cost under a quarter.
LENGTHS_CPU: list[Value] = [64, 128, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096]
LENGTHS_CUDA: list[Value] = [256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384]
# Softmax does not depend on d: at n = 256 it is half of the time at d = 32, a quarter at 100, and time settles beyond.
HEAD_DIMS_CPU: list[Value] = [16, 32, 64, 128, 192, 256, 512, 768, 1024]
# A fused kernel on a GPU takes no more than 256.
HEAD_DIMS_CUDA: list[Value] = [16, 24, 32, 48, 64, 96, 128, 192, 256]
# Multiples of four, so that few threads share them evenly. One head leaves two threads nothing to share.
COUNTS_CPU: list[Value] = [4, 8, 12, 20, 32, 56, 96, 160, 256]
# Multiples of 16: at n = 2048 sixteen heads are as many blocks of rows as a large GPU has room for.
COUNTS_CUDA: list[Value] = [16, 32, 48, 80, 128, 224, 384, 640, 1024]
BATCHES_CUDA: list[Value] = [1, 2, 3, 5, 8, 14, 24, 40, 64]
# Compiled anew for each shape, three seconds per case or more: for `compiled`, and where asked for by name.
COMPILED = ["flex*"]
DIVISORS: list[Value] = [2, 8, 32, 128]
# A Python loop visits each row: it teaches along n, where it shows n + n^2, and is left out of all else. On a GPU it
# would launch hundreds of thousands of kernels per call.
SLOW = ["loop"]

SEQUENCE_LENGTH = Scenario(
    name="sequence-length",
    question="Does the cost of attention grow as n^2 with the sequence length, and who needs n^2 memory?",
    axes=[Axis(name="n", values=LENGTHS_CPU)],
    base={"d": 64, "heads": 2, "batch": 1},
    exclude=COMPILED,
    # Its quadratic term overtakes the dispatch of its rows at about 1100; beyond 2048 it only takes time.
    sizes_at_most={"loop": {"n": 2048}},
    claims=claims.LENGTH_CLAIMS,
    on={
        "cuda": Variant(
            axes=[Axis(name="n", values=LENGTHS_CUDA)],
            base={"d": 64, "heads": 16, "batch": 1},
            dtypes=["bfloat16", "float16"],
            # Each row is launched by itself, 8,192 at most: with one head that is eleven lengths over a range of 32.
            own_base={"loop": {"heads": 1}},
            sizes_at_most={"loop": {"n": 8192}},
        )
    },
)
HEAD_DIM = Scenario(
    name="head-dim",
    question="Is the cost linear in the head dimension d?",
    axes=[Axis(name="d", values=HEAD_DIMS_CPU)],
    base={"n": 256, "heads": 4, "batch": 1},
    exclude=[*SLOW, *COMPILED],
    claims=[claims.A2],
    on={
        "cuda": Variant(
            axes=[Axis(name="d", values=HEAD_DIMS_CUDA)],
            base={"n": 4096, "heads": 16, "batch": 1},
            dtypes=["bfloat16"],
        )
    },
)
HEADS_GROWING = Scenario(
    name="heads",
    question="Is the cost linear in the number of heads, when each head keeps its size?",
    axes=[Axis(name="heads", values=COUNTS_CPU)],
    base={"n": 256, "d": 64, "batch": 1},
    exclude=[*SLOW, *COMPILED],
    claims=[claims.A2],
    on={
        "cuda": Variant(
            axes=[Axis(name="heads", values=COUNTS_CUDA)],
            base={"n": 2048, "d": 64, "batch": 1},
            dtypes=["bfloat16"],
        )
    },
)
HEADS_FIXED_WIDTH = Scenario(
    name="heads-fixed-width",
    question="What does it cost to split a fixed width into more heads?",
    axes=[Axis(name="heads", values=DIVISORS, tied={"d": "256 / heads"})],
    base={"n": 256, "batch": 1},
    exclude=[*SLOW, *COMPILED],
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
    axes=[Axis(name="batch", values=COUNTS_CPU)],
    base={"n": 256, "d": 64, "heads": 1},
    exclude=[*SLOW, *COMPILED],
    claims=[claims.A2],
    on={
        "cuda": Variant(
            axes=[Axis(name="batch", values=BATCHES_CUDA)],
            base={"n": 2048, "d": 64, "heads": 16},
            dtypes=["bfloat16"],
        )
    },
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
    exclude=[*SLOW, *COMPILED],
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
    *shapes.SCENARIOS,
    varlen.VARLEN,
)
# The joint law of all four axes is fitted to these sweeps as well; `grid` crosses them, where asked for by name.
DEFAULT: tuple[str, ...] = ("sequence-length", "head-dim", "heads", "heads-fixed-width", "batch")


# A scenario takes a page or two.
BYTES_AT_MOST = 2**20


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
        document = tomllib.loads(_content(path).decode())
    except ScenarioError:
        raise
    except OSError as error:
        raise ScenarioError(f"scenario {path}: {error.strerror}") from None
    except RecursionError:
        raise ScenarioError(f"scenario {path} is not TOML: it nests too deep") from None
    except ValueError as error:
        raise ScenarioError(f"scenario {path} is not TOML: {error}") from None
    document.setdefault("name", path.stem)
    try:
        found = Scenario.model_validate(document)
    except ValidationError as error:
        raise ScenarioError("\n".join(_mistakes(path, error))) from None
    sizes = [*found.base.items(), *(size for call in found.calls for size in call.point.items())]
    wrong = [mistake for axis in found.axes for mistake in values.size_mistakes(axis.name, axis.values)]
    wrong += [mistake for name, value in sizes for mistake in values.size_mistakes(name, [value])]
    if wrong:
        raise ScenarioError("\n".join(f"scenario {path}: {mistake}" for mistake in wrong))
    return found


def _content(path: Path) -> bytes:
    """Return a file's content. Raises OSError, ScenarioError for what is no file or too large for a scenario."""
    try:
        status = path.stat()
    except ValueError as error:
        raise ScenarioError(f"scenario {str(path)!r}: {error}") from None
    if stat.S_ISDIR(status.st_mode):
        raise ScenarioError(f"scenario {path}: Is a directory")
    if not stat.S_ISREG(status.st_mode):
        raise ScenarioError(f"scenario {path} is no regular file")
    if status.st_size > BYTES_AT_MOST:
        raise ScenarioError(f"scenario {path} has {status.st_size} bytes, and at most {BYTES_AT_MOST} are read")
    with path.open("rb") as file:
        return file.read(BYTES_AT_MOST)


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
    """Read an axis from the command line. Raises ScenarioError that shows the forms, or names each wrong size."""
    try:
        name, parsed = values.read_axis(text)
    except ValueError as error:
        raise ScenarioError(str(error)) from None
    wrong = values.size_mistakes(name, parsed)
    if wrong:
        raise ScenarioError("\n".join(wrong))
    return name, parsed


def parse_axes(texts: Iterable[str]) -> dict[str, list[Value]]:
    """Read axes from the command line. Raises ScenarioError with every mistake, a line each."""
    axes, wrong = {}, []
    for text in texts:
        try:
            name, parsed = parse_axis(text)
            axes[name] = parsed
        except ScenarioError as error:
            wrong.append(str(error))
    if wrong:
        raise ScenarioError("\n".join(wrong))
    return axes
