"""What a case costs is said before it runs, and why it will not run."""

from __future__ import annotations

from harness.protocol import messages
from tests.harness.worker.test_worker import ask


def test_a_case_that_can_not_run_says_why_before_it_does(worker, planted):
    case = planted(lambda q, *_, **__: q)
    masked = case.model_copy(update={"point": {**case.point, "causal": True}})
    half = case.model_copy(update={"dtype": "float16"})
    huge = case.model_copy(update={"point": {"n": 2**30, "d": 8}})
    nonsense = case.model_copy(update={"point": {"m": 3}})
    found = ask(worker, messages.Predict(cases=[masked, half, huge, nonsense])).predictions
    assert [one.skip for one in found] == ["unsupported", "unsupported", "predicted_oom", "unsupported"]
    assert found[0].reason == "lacks causal"
    assert found[1].reason == "takes float32, not float16"
    assert found[2].reason.endswith(" B free") or found[2].reason.startswith("too large to plan")
    assert found[3].reason.startswith("not a point of attention: ")
