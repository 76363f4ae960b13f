"""The scenario of packed sequences: total tokens, and how unequal the lengths are."""

from __future__ import annotations

from scenarios.scenario import Axis, Claim, Scenario, Variant

SUM_OF_SQUARES = Claim(
    id="B6",
    says="packed sequences cost the sum of squares of their lengths: quadratic in the mean length, linear in sequences",
    quantities=["operations", "time"],
    exponents={"n": 2, "batch": 1},
)
DISTRIBUTIONS = Axis(name="lengths", values=["equal", "uniform", "long_tailed"])

VARLEN = Scenario(
    name="varlen",
    question="Do packed sequences cost the sum of squares of their lengths, and what does padding to the longest add?",
    problem="varlen",
    # Eight sequences of mean length n: 8 n tokens.
    axes=[Axis(name="n", values=[32, 64, 128, 256, 512, 1024]), DISTRIBUTIONS],
    base={"batch": 8, "d": 64, "heads": 2},
    claims=[SUM_OF_SQUARES],
    on={
        "cuda": Variant(
            axes=[Axis(name="n", values=[128, 256, 512, 1024, 2048, 4096]), DISTRIBUTIONS],
            base={"batch": 16, "d": 64, "heads": 16},
            dtypes=["bfloat16"],
        )
    },
)
