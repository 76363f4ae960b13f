"""Who is fastest is said with its factor, who is as fast, and the bytes of both."""

from __future__ import annotations

import pandas as pd
import pytest

from reports.answer.fastest import contrast, contrast_sentence
from reports.frame import COLUMNS


def ok_rows(*rows):
    table = pd.DataFrame(
        [{**dict.fromkeys(COLUMNS), "status": "ok", "problem": "attention", "n": 4096.0, **row} for row in rows]
    )
    return table.assign(default=table["implementation"]).astype({"time_s": float, "extra_bytes": float})


def of(**known):
    return ok_rows(*({"implementation": name.replace("_", "-"), "time_s": seconds, "extra_bytes": extra}
                     for name, (seconds, extra) in known.items()))  # fmt: skip


MEMORY = {
    "both known": (
        (1e-3, 1216512),
        (5.41e-3, 270532608),
        ", with 1/222 of its extra memory (1.16 MiB against 258 MiB)",
    ),
    "none": ((1e-3, 0), (2e-3, 270532608), ", with no extra memory against 258 MiB"),
    "unknown": ((1e-3, None), (2e-3, None), ""),
    "more": ((1e-3, 3 * 2**20), (2e-3, 2**20), ", with 3.00× its extra memory (3.00 MiB against 1.00 MiB)"),
    "little": ((1e-3, 16), (2e-3, 2**30), ", with little extra memory (16.0 B against 1.00 GiB)"),
    "somewhat less": ((1e-3, 2**20), (2e-3, 1.5 * 2**20), ", with less extra memory (1.00 MiB against 1.50 MiB)"),
    "as much": ((1e-3, 15258), (2e-3, 15260), ", with as much extra memory (14.9 KiB)"),
    "other without": ((1e-3, 2**20), (2e-3, 0), ", with 1.00 MiB of extra memory against none"),
}


@pytest.mark.parametrize(("quick", "slow", "words"), MEMORY.values(), ids=MEMORY)
def test_the_fastest_has_its_factor_and_its_bytes(quick, slow, words):
    factor = "5.41×" if slow[0] > 5e-3 else "2.00×"
    assert contrast_sentence(of(sdpa_flash=quick, batched=slow), baseline="batched") == (
        f"At n = 4,096 sdpa-flash is fastest: {factor} as fast as batched{words}."
    )


def test_who_is_as_fast_is_named_and_where_all_are_nobody_is_fastest():
    three = of(auto=(1e-3, None), flash=(1.02e-3, None), math=(3e-3, None))
    assert contrast_sentence(three, baseline="math") == (
        "At n = 4,096 auto is fastest (flash within 10 %): 3.00× as fast as math."
    )
    assert contrast_sentence(of(auto=(1e-3, None), flash=(1.02e-3, None)), baseline="auto") == (
        "At n = 4,096 no implementation stands out: auto takes 1.00 ms, flash within 10 %."
    )


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ((2**20, 2**21), "; extra memory is 1.00 MiB for auto, 2.00 MiB for flash."),
        ((2**20, 2**20), "; both take 1.00 MiB of extra memory."),
        ((0, 0), "; neither takes extra memory."),
    ],
    ids=["unequal", "equal", "none"],
)
def test_memory_of_two_that_are_as_fast_names_both(extra, words):
    two = of(auto=(1e-3, extra[0]), flash=(1.02e-3, extra[1]))
    assert contrast_sentence(two, baseline="auto").endswith(f"flash within 10 %{words}")


def test_who_is_slower_by_overlapping_intervals_alone_is_not_called_so():
    wide = {"low_s": 5e-4, "high_s": 5e-3}
    auto, batched, loop = (
        {"implementation": name, "time_s": seconds, **wide}
        for name, seconds in (("auto", 1e-3), ("batched", 1.3e-3), ("loop", 9e-3))
    )
    open_ = ok_rows(auto, {**batched, "extra_bytes": 2**20})
    assert contrast_sentence(open_, baseline="auto") == (
        "At n = 4,096 auto is not significantly faster than batched: 1.00 ms against 1.30 ms; "
        "their 95 % intervals overlap."
    )
    told = ok_rows(auto, batched, {**loop, "low_s": 8e-3})
    assert contrast_sentence(told, baseline="loop") == (
        "At n = 4,096 auto is fastest (batched not significantly slower): 9.00× as fast as loop."
    )


def test_one_implementation_has_its_time_and_none_has_nothing():
    assert contrast_sentence(of(mine=(2e-3, 2**20)), baseline="mine") == (
        "At n = 4,096 mine takes 2.00 ms per call, with 1.00 MiB of extra memory."
    )
    nothing = of(mine=(2e-3, None)).iloc[:0]
    assert contrast_sentence(nothing, baseline="mine") == ""
    assert contrast(nothing, baseline="mine") is None
