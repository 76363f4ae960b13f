"""Progress without a terminal is plain lines; the ETA follows predicted cost, not the count of cases."""

from __future__ import annotations

from harness import progress


def test_every_case_has_its_line(capsys):
    lines = progress.Lines()
    lines.phase("agreement", total=10.0)
    lines.advance(1.0, "loop n=64: agrees", count="1/2")
    lines.advance(9.0, "loop n=4096: agrees", count="2/2")
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("[1/2] loop n=64: agrees ETA ")
    assert second == "[2/2] loop n=4096: agrees ETA 0:00"


def test_a_round_says_something_at_most_every_few_seconds(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    lines = progress.Lines()
    lines.phase("round 1", total=100.0)
    for _ in range(100):
        now[0] += 1.0
        lines.advance(1.0, "")
    assert len(capsys.readouterr().out.splitlines()) == 10


def test_the_time_left_is_weighted_by_predicted_cost(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    pace = progress.Pace(100.0)
    assert pace.left() is None
    # One cheap case of many: a tenth of the predicted cost took 2 s, so nine tenths take 18.
    now[0], pace.done = 2.0, 10.0
    assert pace.left() == 18.0
    assert progress.clock(pace.left()) == "0:18"


def test_a_log_gets_lines_and_no_bar(monkeypatch):
    monkeypatch.setenv("CI", "true")
    assert isinstance(progress.make(), progress.Lines)


def test_a_bar_takes_lines_with_markup_for_text(capsys):
    bar = progress.Bar()
    bar.phase("agreement", total=2.0)
    bar.advance(1.0, "[red]not markup", count="1/2")
    bar.note("[b]nor this")
    bar.close()
    assert "[b]nor this" in capsys.readouterr().out
