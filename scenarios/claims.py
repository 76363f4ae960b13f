"""The claims that runs test: the complexity analysis of a tutorial on attention, line by line, and ours beside it.

The tutorial's symbols are n tokens, d features a token and k, never defined, read here as heads. Ours: n, d per head,
heads, batch, and the width D = heads * d of a multi-head module. Expected verdicts come from the arithmetic; they are
shown beside what is measured and decide nothing.
"""

from __future__ import annotations

from scenarios.scenario import Claim

# Implementations that hold the whole score matrix, and those that never do.
MATERIALISED = ["batched", "einsum", "sdpa-math"]
BLOCKED = ["loop", "online", "sdpa-flash", "sdpa-efficient", "sdpa-cudnn", "flash-attn*", "flex*"]
FUSED = ["sdpa-flash", "sdpa-efficient", "sdpa-cudnn", "flash-attn*", "flex*"]
# Whole attentions and modules; the single steps of a module are named phase/...
WHOLE = ["*", "!phase/*"]

A1_LENGTH = Claim(
    id="A1",
    says="the projections of queries, keys and values cost O(n k 3d): linear in n",
    source="article",
    quantities=["operations", "time"],
    exponents={"n": 1},
    about=["phase/projections"],
)
A1_WIDTH = Claim(
    id="A1",
    says="the projections of queries, keys and values cost O(n k 3d): linear in the width",
    source="article",
    quantities=["operations", "time"],
    exponents={"width": 1},
    about=["phase/projections"],
    expected="refuted",
)
A2 = Claim(
    id="A2",
    says="attention costs O(n^2 k d): quadratic in n, linear in d, heads and batch",
    source="article",
    quantities=["operations", "time"],
    exponents={"n": 2, "d": 1, "heads": 1, "batch": 1},
)
A2_PHASE = Claim(
    id="A2",
    says="the attention scores cost O(n^2 k d): quadratic in n, linear in the width k d",
    source="article",
    quantities=["operations", "time"],
    exponents={"n": 2, "width": 1, "batch": 1},
    about=["phase/scores"],
)
A3 = Claim(
    id="A3",
    says="the weighted sum of values costs O(n k d): linear in n",
    source="article",
    quantities=["operations", "time"],
    exponents={"n": 1},
    about=["phase/weighted-sum"],
    expected="refuted",
)
A4 = Claim(
    id="A4",
    says="a multi-head module costs O(n^2 k d) in total",
    source="article",
    quantities=["operations", "time"],
    law="additive",
    exponents={"n": 2},
    terms=[{"n": 1, "width": 2, "batch": 1}, {"n": 2, "width": 1, "batch": 1}],
    kind="layer",
    about=WHOLE,
)
A5 = Claim(
    id="A5",
    says="the cost grows exponentially with the length of the input",
    source="article",
    quantities=["operations", "time"],
    law="exponential",
    exponents={"n": 2},
    about=WHOLE,
    expected="refuted",
)
A6 = Claim(
    id="A6",
    says="FlashAttention makes attention faster",
    source="article",
    quantities=["time", "memory"],
    law="ratio",
    exponents={"n": 0},
    baseline="batched",
    about=FUSED,
    expected="measured",
)
B1 = Claim(
    id="B1",
    says="materialised scores take O(n^2) extra memory: batch heads n^2 elements for each copy",
    quantities=["memory"],
    exponents={"n": 2},
    about=MATERIALISED,
)
B2 = Claim(
    id="B2",
    says="blocked softmax takes O(n) extra memory",
    quantities=["memory"],
    exponents={"n": 1},
    about=BLOCKED,
)
B3_PRODUCTS = Claim(
    id="B3",
    says="splitting a fixed width into more heads leaves the work of products unchanged",
    quantities=["operations"],
    exponents={"heads at fixed width": 0},
    phase="products",
)
B3_SOFTMAX = Claim(
    id="B3",
    says="splitting a fixed width into more heads makes softmax work grow with the heads",
    quantities=["operations"],
    exponents={"heads at fixed width": 1},
    about=[*MATERIALISED, "online"],
)
B4 = Claim(
    id="B4",
    says="decoding one token against a cache of n keys costs O(n d)",
    quantities=["operations", "time"],
    exponents={"n_k": 1, "d": 1, "heads": 1, "batch": 1},
)
B5 = Claim(
    id="B5",
    says="causal masking halves the work: n (n + 1) / 2 pairs of n^2",
    quantities=["operations", "time"],
    law="ratio",
    exponents={"n": 0},
    baseline="causal",
    value=0.5,
    expected="measured",
)

CLAIMS: tuple[Claim, ...] = (
    *(A1_LENGTH, A1_WIDTH, A2, A2_PHASE, A3, A4, A5, A6),
    *(B1, B2, B3_PRODUCTS, B3_SOFTMAX, B4, B5),
)
# What a sweep of attention over n can show; the same A2 in sweeps of d, heads and batch completes it.
LENGTH_CLAIMS: list[Claim] = [A2, A5, A6, B1, B2]
MODULE_CLAIMS: list[Claim] = [A1_LENGTH, A1_WIDTH, A2_PHASE, A3, A4]
