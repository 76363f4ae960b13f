"""`check` examines every implementation, survives those that don't, and says how to see a failure again."""

from __future__ import annotations

import io
import shlex
import textwrap
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from rich.console import Console

from harness import policy
from harness.protocol.messages import DescribedImplementation
from harness.records import ProbeOutcome
from harness.runner import check
from harness.runner.supervisor import WorkerSettings
from reports.exports.junit import junit
from reports.terminal.check import render, reproduction
from reports.terminal.progress import Lines, Reporter

HEADER = """
import os, signal, torch
from impls.attention.batched import batched
from impls.registry import register
"""
HERE = pytest.mark.usefixtures("worker_here")
SIGNATURE = "def attend(q, k, v, *, causal=False, scale=None, valid_lens=None):"


def kernel(tmp_path, body, *, name="mine", supports=("causal", "backward"), dtypes=("float32",), compiles=False):
    """Write a file that registers one implementation with a body."""
    file = tmp_path / f"{name}.py"
    decorator = (
        f"@register(problem='attention', name={name!r}, devices=('cpu',), dtypes={dtypes}, supports={supports}, "
        f"compiles={compiles})"
    )
    file.write_text(f"{HEADER}\n{decorator}\n{SIGNATURE}\n{textwrap.indent(textwrap.dedent(body), '    ')}\n")
    return str(file)


def examine(*files, **settings):
    workers = WorkerSettings(device="cpu", policy=policy.DEFAULT, impl_files=files)
    return check.check(workers, progress=Reporter(Lines()), **settings)


def shown(report, *files):
    out = io.StringIO()
    render(report, Console(file=out, width=160), impl_files=files)
    return out.getvalue()


@HERE
def test_a_pattern_names_those_that_it_fits(tmp_path):
    body = "return batched(q, k, v, causal=causal, scale=scale, valid_lens=valid_lens)"
    files = [kernel(tmp_path, body, name=name) for name in ("of-a", "of-b", "other")]
    report = examine(*files, names=("of-*",), quick=True, only="needle")
    assert list(dict.fromkeys(outcome.implementation for outcome in report.outcomes)) == ["of-a", "of-b"]
    with pytest.raises(KeyError, match=r"no implementation 'nothing-\*'"):
        examine(*files, names=("nothing-*",), quick=True)


@HERE
def test_an_honest_file_agrees(tmp_path):
    file = kernel(tmp_path, "return batched(q, k, v, causal=causal, scale=scale, valid_lens=valid_lens)")
    report = examine(file, quick=True)
    assert {outcome.implementation for outcome in report.outcomes} == {"mine"}
    assert {outcome.status for outcome in report.outcomes} == {"ok", "unsupported"}
    assert report.exit_code == 0
    assert "agrees" in shown(report, file)


@HERE
def test_what_compiles_for_each_shape_is_asked_on_few_and_that_is_said(tmp_path, capsys):
    body = "return batched(q, k, v, causal=causal, scale=scale, valid_lens=valid_lens)"
    settings = {"dtypes": ("float32", "bfloat16"), "compiles": True, "supports": ("causal", "valid_lens")}
    file = kernel(tmp_path, body, **settings)
    report = examine(file)
    first, second = report.few
    assert (first.dtype, second.dtype) == ("float32", "bfloat16")
    assert second.points < first.points < first.of_points / 3
    assert len(report.outcomes) == first.probes + second.probes < first.of_probes
    assert report.exit_code == 0
    said = " ".join(shown(report, file).split())
    asked = f"{first.probes} of {first.of_probes} probes, at {first.points} of {first.of_points} points, in float32"
    assert f"mine compiles for each shape and was asked {asked}; " in said
    assert said.count("--all asks every one") == 1
    assert "checking mine float32" in capsys.readouterr().out
    named = examine(file, only="needle, causal", dtypes=("float32",))
    whole = examine(file, quick=True, every=True, dtypes=("float32",))
    assert (named.few, whole.few) == ([], [])
    assert len({outcome.title for outcome in named.outcomes}) == 4
    assert len(whole.outcomes) > examine(file, quick=True, dtypes=("float32",)).few[0].probes


@HERE
def test_a_wrong_file_disagrees_and_its_first_failure_can_be_repeated(tmp_path):
    file = kernel(tmp_path, "return batched(q, k, v, causal=False, scale=scale)")
    report = examine(file, quick=True)
    assert report.exit_code == 3
    first = next(outcome for outcome in report.outcomes if outcome.status == "disagreed")
    assert "causal" in first.title
    command = reproduction(first, impl_files=[file])
    assert command in shown(report, file)
    words = shlex.split(command)
    again = examine(file, names=[words[words.index("--impl") + 1]], only=words[words.index("-k") + 1])
    assert "disagreed" in {outcome.status for outcome in again.outcomes}
    assert len(again.outcomes) < len(report.outcomes)


def test_a_kernel_that_kills_its_process_costs_only_its_own_probes(tmp_path):
    body = """
    if causal:
        os.kill(os.getpid(), signal.SIGSEGV)
    return batched(q, k, v, scale=scale)
    """
    report = examine(kernel(tmp_path, body), only="equal scores")
    by_title = {outcome.title: outcome for outcome in report.outcomes}
    assert by_title["equal scores, forward"].status == "ok"
    assert by_title["equal scores, causal, forward"].status == "crashed"
    assert "SIGSEGV" in by_title["equal scores, causal, forward"].reason
    assert report.exit_code == 4


@HERE
def test_an_exception_is_reported_with_its_cause(tmp_path):
    report = examine(kernel(tmp_path, "raise ValueError('no such tile')"), only="equal scores, forward")
    (outcome,) = report.outcomes
    assert outcome.status == "crashed"
    assert "ValueError: no such tile" in outcome.reason


@HERE
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import nowhere_at_all", "No module named 'nowhere_at_all'"),
        ("x = 1", "registers no implementation of attention"),
    ],
)
def test_a_file_that_gives_nothing_is_unavailable_with_its_reason(tmp_path, text, reason):
    assert_nothing(tmp_path, text, reason)


def test_a_file_that_kills_the_process_that_imports_it_is_unavailable_too(tmp_path):
    assert_nothing(tmp_path, "import os, signal\nos.kill(os.getpid(), signal.SIGABRT)", "SIGABRT")


def assert_nothing(tmp_path, text, reason):
    file = tmp_path / "broken.py"
    file.write_text(text)
    report = examine(str(file))
    assert report.outcomes == []
    assert reason in " ".join(missing.reason for missing in report.unavailable)
    assert report.exit_code == 4


@HERE
def test_a_package_that_does_not_load_is_no_success_and_says_why(tmp_path):
    file = Path(kernel(tmp_path, HONEST))
    text = file.read_text().replace(
        "@register(", "def load():\n    raise ImportError('no lib.so')\n\n@register(load=load, "
    )
    file.write_text(text)
    report = examine(str(file), only="n 257, forward")
    assert {outcome.status for outcome in report.outcomes} == {"unavailable"}
    assert report.exit_code == 4
    assert "can't be imported: ImportError: no lib.so" in shown(report, str(file))


def test_what_is_checked_on_request_alone_is_left_out_of_all():
    listed = [
        DescribedImplementation(problem="attention", name=name, available=True, source="", on_request=name == "asked")
        for name in ("plain", "asked")
    ]
    assert [entry.name for entry in check._chosen(listed, [], [])] == ["plain"]
    assert [entry.name for entry in check._chosen(listed, ["asked"], [])] == ["asked"]


@HERE
def test_each_value_of_an_option_is_held_to_the_quick_probes_where_its_implementation_is_asked_for(tmp_path):
    file = Path(kernel(tmp_path, f"if block == 7:\n    q = 2 * q\n{HONEST}"))
    text = file.read_text().replace("@register(", "@register(options={'block': (7, 8)}, ")
    file.write_text(text.replace("valid_lens=None):", "valid_lens=None, block=1):"))
    report = examine(str(file), only="n_q 100, n_k 257, causal, forward")
    statuses = {
        outcome.implementation: outcome.status for outcome in report.outcomes if outcome.status != "unsupported"
    }
    assert statuses == {"mine": "ok", "mine:block=7": "disagreed", "mine:block=8": "ok"}
    probes = {name: [o.probe for o in report.outcomes if o.implementation == name] for name in statuses}
    assert set(probes["mine:block=8"]) <= set(probes["mine"])
    assert report.exit_code == 3


@HERE
def test_an_unknown_name_is_refused():
    with pytest.raises(KeyError, match="did you mean 'batched'"):
        examine(names=["bached"])


@HERE
def test_junit_has_a_case_for_every_probe(tmp_path):
    report = examine(kernel(tmp_path, "return torch.zeros_like(q)"), only="equal scores")
    root = ET.fromstring(junit(report))
    cases = root.findall("testsuite/testcase")
    assert len(cases) == len(report.outcomes)
    assert {case.find("failure") is not None for case in cases} == {True}


HONEST = "return batched(q, k, v, causal=causal, scale=scale, valid_lens=valid_lens)"


@HERE
@pytest.mark.parametrize(
    "limit", ["raise ValueError('head size must be 64')", "assert q.shape[-1] == 64", "raise RuntimeError('64 only')"]
)
def test_an_exception_names_its_probe_and_says_how_a_limit_is_declared(tmp_path, limit):
    file = kernel(tmp_path, f"if q.shape[-1] != 64:\n    {limit}\n{HONEST}")
    report = examine(file, only="d 80, forward")
    text = shown(report, file)
    assert report.exit_code == 4
    assert "d 80, forward: " in text
    assert "raise NotImplementedError" in text


@HERE
def test_a_declared_limit_is_counted_and_fine(tmp_path):
    file = kernel(tmp_path, f"if q.shape[-1] != 64:\n    raise NotImplementedError('64 only')\n{HONEST}")
    report = examine(file, only="n 257")
    assert report.exit_code == 0
    report = examine(file, only="d ")
    assert "NotImplementedError: 64 only" in shown(report, file)
    assert "not asked of mine: " in shown(report, file)


@HERE
def test_a_check_says_up_to_which_length_it_looked(tmp_path):
    report = examine(kernel(tmp_path, HONEST), only="n 257, forward")
    assert shown(report).rstrip().endswith("looked at lengths up to 257; a run checks each case at its own")


@HERE
@pytest.mark.parametrize("only", ["no such probe", "NaN padding"])
def test_nothing_asked_is_no_success(tmp_path, only):
    report = examine(kernel(tmp_path, HONEST), only=only)
    assert report.exit_code == 2
    assert "nothing was asked" in shown(report)


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [(0, "no probe, implementation and dtype"), (2, "none of 2 probes is supported")],
)
def test_a_check_of_nothing_is_no_success(outcomes, words):
    one = ProbeOutcome(
        implementation="x", probe="p", dtype="float32", device="cpu", direction="forward", seed=0, status="unsupported"
    )
    made = [one] * outcomes
    report = check.Report(problem="attention", device="cpu", outcomes=made, unavailable=[])
    assert report.exit_code == 2
    assert words in report.nothing
    fine = report.model_copy(
        update={"outcomes": [*made, *(one.model_copy(update={"status": "ok"}) for one in made[:1])]}
    )
    assert fine.exit_code == (0 if made else 2)


@HERE
def test_a_filter_that_fits_no_probe_leaves_nothing_checked(tmp_path):
    file = kernel(tmp_path, "return batched(q, k, v, causal=causal, scale=scale, valid_lens=valid_lens)")
    report = examine(file, only="nosuchprobe")
    assert (report.outcomes, report.exit_code) == ([], 2)
