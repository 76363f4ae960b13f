"""The lines of the complexity analysis: what the article says, what the arithmetic says, and which claim tests it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One line of the complexity analysis.

    `claim`, `axis` and the `expected` exponent find its verdicts, of the named implementations. `remark` is what to
    take away.
    """

    id: str
    article: str
    arithmetic: str
    remark: str
    claim: str
    axis: str
    implementations: tuple[str, ...]
    expected: float | None = None


OURS = "– (ours)"  # noqa: RUF001
# The article's n, k, d are tokens, heads and features a head; it never defines k, and this is how it is read here.
LINES = (
    Line(
        id="A1, in n",
        article="Projections cost O(n · k · 3d).",
        arithmetic="2 · batch · n · 3D²: linear in n.",
        remark="As the article says: twice the text, twice the projections.",
        claim="A1", axis="n", implementations=("phase/projections",),
    ),
    Line(
        id="A1, in width",
        article="Projections cost O(n · k · 3d): linear in the width k · d.",
        arithmetic="2 · batch · n · 3D²: quadratic in the width D = k · d.",
        remark="Each of the D outputs reads all D inputs, so the width counts twice. The article counts it once.",
        claim="A1", axis="width", implementations=("phase/projections",),
    ),
    Line(
        id="A2",
        article="Attention scores cost O(n² · k · d).",
        arithmetic="2 · batch · heads · n² · d: a dot product of length d for each pair of tokens.",
        remark="As the article says.",
        claim="A2", axis="", implementations=("phase/scores",),
    ),
    Line(
        id="A3",
        article="The weighted sum costs O(n · k · d).",
        arithmetic="2 · batch · heads · n² · d: as dear as the scores.",
        remark="A slip of one power: each of the n outputs adds up n values, so the sum is quadratic like the scores.",
        claim="A3", axis="n", implementations=("phase/weighted-sum",),
    ),
    Line(
        id="A4",
        article="In total O(n² · k · d).",
        arithmetic="8nD² + 4n²D for one sequence: n² wins once n passes 2D.",
        remark="True for long texts; below the crossover the projections cost more than attention does.",
        claim="A4", axis="n", implementations=("d2l",),
    ),
    Line(
        id="A5",
        article="The cost grows exponentially with the input.",
        arithmetic="Quadratic: doubling n multiplies the cost by 4, it does not square it.",
        remark="A word that is often used loosely. Exponential growth would multiply the cost by the same factor with "
        "every token added.",
        claim="A5", axis="", implementations=("d2l", "batched"),
    ),
    Line(
        id="A6",
        article="FlashAttention makes it faster (no figure given).",
        arithmetic="The same operations, O(n) instead of O(n²) extra memory, fewer bytes moved.",
        remark="Not less work, but less traffic. What it gains depends on the machine and on n.",
        claim="A6", axis="", implementations=("sdpa-flash",),
    ),
    Line(
        id="B1",
        article=OURS,
        arithmetic="Materialised scores take batch · heads · n² elements a copy.",
        remark="This is the memory that ends long texts first.",
        claim="B1", axis="n", implementations=("batched",),
    ),
    Line(
        id="B2",
        article=OURS,
        arithmetic="A blocked softmax keeps no n² buffer: O(n) extra memory.",
        remark="What flash kernels, and online, their readable form, are for.",
        claim="B2", axis="n", implementations=("sdpa-flash", "online"),
    ),
    Line(
        id="B3, products",
        article=OURS,
        arithmetic="4 · batch · n² · D whatever the number of heads.",
        remark="More heads of a fixed width leave the products as they are.",
        claim="B3", axis="heads at fixed width", implementations=("batched",), expected=0,
    ),
    Line(
        id="B3, softmax",
        article=OURS,
        arithmetic="A constant · batch · heads · n²: a score matrix for each head.",
        remark="But each head has a softmax of its own, whose work and memory grow with the heads.",
        claim="B3", axis="heads at fixed width", implementations=("batched",), expected=1,
    ),
    Line(
        id="B4",
        article=OURS,
        arithmetic="4 · batch · heads · n · d for one more token against a cache of n keys.",
        remark="Writing a text token by token is linear a token, quadratic in all.",
        claim="B4", axis="", implementations=("batched", "sdpa-flash"),
    ),
    Line(
        id="B5",
        article=OURS,
        arithmetic="A causal mask leaves n (n + 1) / 2 of n² pairs.",
        remark="Only kernels that skip masked blocks save the half; a mask alone saves nothing.",
        claim="B5", axis="", implementations=("batched", "sdpa-flash", "online"),
    ),
)  # fmt: skip
