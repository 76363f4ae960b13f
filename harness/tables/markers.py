"""Words and signs that stand in a table where nothing was measured: `-`, `OOM`, `n/a`, `> 3600`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

# A cell that is one of these, whatever its case.
WHOLE = frozenset(
    (
        *("na", "n/a", "n.a.", "n.a", "#n/a", "n/m", "nan", "nil", "none", "null", "nul", "nat", "missing", "void"),
        *("inf", "+inf", "-inf", "infinity", "-infinity", "∞", "-∞", "#div/0!", "#value!", "#ref!", "#num!", "#name?"),
        *("to", "t/o", "tle", "mle", "oot", "t.o.", "dnf", "dnr", "dns", "tbd", "tba", "wip", "todo", "nr"),
        *("x", "y", "yes", "no", "true", "false", "ok", "pass", "passed", "fit", "fits", "no fit", "empty", "pending"),
    )
)
# A cell that begins with one of these words: "OOM (80 GB)", "error: invalid argument", "not supported".
FIRST_WORDS = frozenset(
    (
        *("oom", "oom-killed", "out-of-memory", "timeout", "time-out", "timedout", "error", "err", "fail", "failed"),
        *("fails", "failure", "crash", "crashed", "crashes", "killed", "abort", "aborted", "segfault", "sigsegv"),
        *("sigkill", "skip", "skipped", "unsupported", "unavailable", "unmeasured", "hang", "hung", "diverged"),
        *("stopped", "exception", "runtimeerror", "outofmemoryerror", "memoryerror", "overflow", "invalid"),
    )
)
PHRASES = (
    *("out of memory", "cuda out of memory", "cuda oom", "gpu oom", "cuda error", "timed out", "time out"),
    *("not supported", "not available", "not applicable", "not measured", "not run", "not tested", "does not fit"),
    *("did not finish", "did not run", "no data", "too slow", "too long", "too large", "doesn't fit", "would not fit"),
)
FIRST_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")
BOUND = re.compile(r"(?:<=|>=|<|>|≤|≥|≪|≫)\s*(?=[0-9.,])")


def is_marker(text: str, *, more: Collection[str] = ()) -> bool:
    """Tell whether a cell, with its decorations taken off, says that nothing was measured.

    A cell without a letter or a digit is one whatever its signs are. `more` are further texts, in any case.
    """
    folded = " ".join(text.casefold().split())
    if folded in WHOLE or any(folded == " ".join(marker.casefold().split()) for marker in more):
        return True
    if not any(sign.isalnum() for sign in folded):
        return True
    word = FIRST_WORD.match(folded)
    return (word is not None and word.group() in FIRST_WORDS) or folded.startswith(PHRASES)


def is_bound(text: str) -> bool:
    """Tell whether a cell only says that a cost is above or below a number, as `> 3600` of a run cut off."""
    return BOUND.match(text) is not None
