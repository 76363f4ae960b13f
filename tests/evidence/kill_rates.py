"""How a run survives `kill -9`: killed at random moments of its life, resumed, and held against what it had written.

`python -m tests.evidence.kill_rates --moments 50` prints the table; `--write FILE` writes it as a page.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from harness.results import journal
from tests.support.places import ROOT

# Few cases of small sizes: starting the processes is most of the run, rounds and records come fast.
ARGUMENTS = (
    *("smoke", "--fast", "--device", "cpu", "--threads", "1", "--impl", "batched", "--impl", "sdpa-math"),
    *("-a", "n=16,32"),
)
# Kills of one run before it is let through to its end.
KILLS_A_RUN = 5
# A run that takes longer than this hangs.
SECONDS_AT_MOST = 300.0
# How soon the worker of a killed parent is gone.
ORPHAN_SECONDS = 10.0
# How often the journal's size is looked at: a line is a write and a flush, of some milliseconds.
POLL_SECONDS = 0.0005
# What a run may end with: all well, or a case that the killing of its worker cost.
FINE = (0, 4)
KINDS = {"prepared": "agreement", "facts": "counting", "round": "rounds", "record": "closing"}


@dataclass(frozen=True)
class Moment:
    """One kill: which run, after how many seconds, chosen how, which process, and what the run was doing."""

    run: int
    seconds: float
    chosen: str
    victim: str
    phase: str


@dataclass(frozen=True)
class Usual:
    """What a run takes that nobody disturbs: seconds, and lines of its journal."""

    seconds: float
    lines: int


@dataclass
class Life:
    """One run from its start to its end, over several kills; `mistakes` is what it lost or doubled."""

    number: int
    directory: Path
    moments: list[Moment] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    torn: int = 0
    launches: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def journal(self) -> bytes:
        """Return the journal as it lies on the disk."""
        path = self.directory / journal.JOURNAL
        return path.read_bytes() if path.exists() else b""

    def launch(self) -> None:
        """Start the run, or resume it where it has a plan."""
        resume = ["--resume"] if (self.directory / journal.PLAN).exists() else []
        command = [sys.executable, "-m", "attnbench", "run", *ARGUMENTS, "-o", str(self.directory), *resume]
        self.launches += 1
        with (self.directory.parent / "output.txt").open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT)

    def said(self) -> str:
        """Return the last line that the run printed."""
        return (self.directory.parent / "output.txt").read_text(errors="replace").strip().split("\n")[-1]

    def phase(self, before: bytes) -> str:
        """Name what the run is doing, by what it has written since its launch."""
        if not (self.directory / journal.PLAN).exists():
            return "start"
        now = self.journal
        # Resuming closes a torn line; that is no line of its own.
        if now.rstrip(b"\n") == before.rstrip(b"\n"):
            return "start" if self.launches == 1 else "resuming"
        lines = [line for line in now.split(b"\n") if line.endswith(b"}")]
        kind = json.loads(lines[-1])["kind"]
        planned = journal.read_plan(self.directory)
        records = sum(line.startswith(b'{"kind":"record"') for line in lines)
        return "verdicts and report" if planned and records >= len(planned.cases) else KINDS[kind]


def wait_for_moment(life: Life, chance: random.Random, *, usual: Usual) -> str:
    """Wait for a random moment of the run's life, or for a random line of its journal; return how it was chosen."""
    assert life.process is not None
    if chance.random() < 0.5:
        due = time.monotonic() + chance.uniform(0.0, usual.seconds)
        while time.monotonic() < due and life.process.poll() is None:
            time.sleep(0.002)
        return "time"
    path = life.directory / journal.JOURNAL
    lines = chance.randint(1, max(1, usual.lines - life.journal.count(b"\n")))
    size = path.stat().st_size if path.exists() else 0
    deadline = time.monotonic() + SECONDS_AT_MOST
    while lines and life.process.poll() is None and time.monotonic() < deadline:
        now = path.stat().st_size if path.exists() else 0
        lines -= now > size
        size = now
        time.sleep(POLL_SECONDS)
    return "write"


def kill(life: Life, chance: random.Random, *, began: float, chosen: str, before: bytes) -> bool:
    """Kill the parent or a process that it started; return whether the run has to be started again."""
    process = life.process
    assert process is not None
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    victims = [("parent", process.pid)] + [("worker", child.pid) for child in children]
    victim, pid = chance.choice(victims)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    moment = Moment(life.number, time.monotonic() - began, chosen, victim, life.phase(before))
    life.moments.append(moment)
    if victim != "parent":
        return False
    process.wait()
    deadline = time.monotonic() + ORPHAN_SECONDS
    while any(lives(child) for child in children):
        if time.monotonic() > deadline:
            life.mistakes.append(f"a worker outlived its parent, killed in {moment.phase}")
            break
        time.sleep(0.01)
    if chosen == "write" and life.journal.endswith(b"\n"):
        tear(life, chance)
    return True


def tear(life: Life, chance: random.Random) -> None:
    """Append a part of a line, as a write that the kill cut short leaves it."""
    line = life.journal.rstrip(b"\n").split(b"\n")[-1]
    with (life.directory / journal.JOURNAL).open("ab") as file:
        file.write(line[: chance.randint(1, len(line) - 1)])
    life.torn += 1


def lives(process: psutil.Process) -> bool:
    """Say whether a process still runs."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def live(number: int, kills: int, chance: random.Random, *, directory: Path, usual: Usual) -> Life:
    """Kill a run so many times, or until it ends, resuming it after each; then let it end and look at what it left."""
    life = Life(number, directory / "run")
    written = life.journal
    life.launch()
    for _ in range(kills):
        began = time.monotonic()
        chosen = wait_for_moment(life, chance, usual=usual)
        if life.process is None or life.process.poll() is not None:
            break
        again = kill(life, chance, began=began, chosen=chosen, before=written)
        if again:
            written = kept(life, written)
            life.launch()
    finish(life)
    kept(life, written)
    life.mistakes += look(life)
    return life


def kept(life: Life, before: bytes) -> bytes:
    """Check that a journal still begins with what it held before; return what it holds now."""
    now = life.journal
    if not now.startswith(before):
        life.mistakes.append("lines that were written before are gone or changed")
    return now


def finish(life: Life) -> None:
    """Let a run end; one that ended early, because its worker was killed while nothing was measured, is resumed."""
    for _ in range(KILLS_A_RUN + 1):
        assert life.process is not None
        try:
            code = life.process.wait(timeout=SECONDS_AT_MOST)
        except subprocess.TimeoutExpired:
            life.process.kill()
            life.mistakes.append("a run hung")
            return
        if code in FINE:
            return
        if "worker" not in life.said():
            break
        life.launch()
    life.mistakes.append(f"a resumed run ended with {code}: {life.said()}")


def look(life: Life) -> list[str]:
    """List what an ended run lost or doubled: cases, rounds, samples, torn lines that nobody reports, its report."""
    planned = journal.read_plan(life.directory)
    if planned is None:
        return ["the run has no plan"]
    entries = journal.read(life.directory)
    records, rounds = count_lines(life.journal)
    mistakes = []
    expected = {case.case.id for case in planned.cases}
    if records != Counter(expected):
        mistakes.append(f"{len(expected)} cases were planned, and their records count {sorted(records.values())}")
    doubled = [key for key, count in rounds.items() if count > 1]
    if doubled:
        mistakes.append(f"rounds {sorted({index for _, index in doubled})} of a case were written twice")
    for identity, record in entries.records.items():
        samples = [sample for visit in entries.rounds.get(identity, []) for sample in visit.samples]
        if record.time is not None and record.time.samples != samples:
            mistakes.append(f"a record of {record.case.implementation} has other samples than its rounds")
    if entries.torn != life.torn:
        mistakes.append(f"{life.torn} lines were torn, {entries.torn} are reported")
    if not (life.directory / journal.REPORT).is_file():
        mistakes.append("there is no report")
    return mistakes


def count_lines(content: bytes) -> tuple[Counter[str], Counter[tuple[str, int]]]:
    """Count the records of each case in a journal, and the lines of each round of a case."""
    records: Counter[str] = Counter()
    rounds: Counter[tuple[str, int]] = Counter()
    for line in content.split(b"\n"):
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if entry["kind"] == "record":
                records[entry["record"]["case"]["id"]] += 1
            elif entry["kind"] == "round":
                rounds[entry["case"], entry["round"]["index"]] += 1
    return records, rounds


def survive(moments: int, *, seed: int, say: object = print) -> list[Life]:
    """Kill runs until so many kills are done; `say` is told of each."""
    assert callable(say)
    chance = random.Random(seed)
    lives_so_far: list[Life] = []
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        # Runs beside this one hold devices elsewhere.
        os.environ["XDG_RUNTIME_DIR"] = folder
        began = time.monotonic()
        undisturbed = live(0, 0, chance, directory=make(folder, 0), usual=Usual(0.0, 0))
        usual = Usual(time.monotonic() - began, undisturbed.journal.count(b"\n"))
        if undisturbed.mistakes:
            raise SystemExit(f"an undisturbed run fails: {undisturbed.mistakes}")
        while sum(len(life.moments) for life in lives_so_far) < moments:
            left = moments - sum(len(life.moments) for life in lives_so_far)
            number = len(lives_so_far) + 1
            kills = min(left, KILLS_A_RUN)
            life = live(number, kills, chance, directory=make(folder, number), usual=usual)
            lives_so_far.append(life)
            for moment in life.moments:
                say(row(moment))
            for mistake in life.mistakes:
                say(f"run {number}: {mistake}")
    return lives_so_far


def make(folder: str, number: int) -> Path:
    """Make the folder of a run."""
    made = Path(folder) / str(number)
    made.mkdir()
    return made


def row(moment: Moment) -> str:
    """Return a moment as a row of the table."""
    return f"| {moment.run} | {moment.seconds:.1f} | {moment.chosen} | {moment.victim} | {moment.phase} |"


PAGE = """# Surviving

`nox -s kills` wrote this page. A run was killed with SIGKILL at {moments} random moments, the parent or a process that
it had started, and resumed until it was complete. Half of the moments lie anywhere in the run's life, half at the write
of a random line of the journal; where the parent was killed at a write, a part of a line was left at the end of it.
After each kill no line written before may be gone; at the end each planned case has exactly one record, no round of a
case is there twice, each record has the samples of its rounds, every torn line is counted, no worker outlived its
parent, and the report is there.

| run | seconds | chosen by | victim | phase |
|---|---|---|---|---|
{rows}

| phase | kills |
|---|---|
{phases}

{last}
"""


def page(lives_seen: list[Life]) -> str:
    """Return the page of what happened."""
    moments = [moment for life in lives_seen for moment in life.moments]
    phases = Counter(moment.phase for moment in moments)
    return PAGE.format(
        moments=len(moments),
        rows="\n".join(row(moment) for moment in moments),
        phases="\n".join(f"| {phase} | {count} |" for phase, count in phases.most_common()),
        last=last_line(lives_seen),
    )


def last_line(lives_seen: list[Life]) -> str:
    """Say in a line how many kills there were and what went wrong."""
    moments = sum(len(life.moments) for life in lives_seen)
    mistakes = [f"run {life.number}: {mistake}" for life in lives_seen for mistake in life.mistakes]
    outcome = "; ".join(mistakes) or "nothing lost, nothing doubled"
    torn = sum(life.torn for life in lives_seen)
    return f"{moments} kills of {len(lives_seen)} runs, {torn} torn lines: {outcome}."


def main() -> None:
    """Print the table, write the page where asked, and fail where something was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=50, help="how many kills")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    parser.add_argument("--write", type=Path, help="file to write the page to")
    arguments = parser.parse_args()
    found = survive(arguments.moments, seed=arguments.seed, say=lambda line: print(line, flush=True))  # noqa: T201
    print(last_line(found))  # noqa: T201
    if arguments.write is not None:
        arguments.write.write_text(page(found), encoding="utf-8")
    raise SystemExit(1 if any(life.mistakes for life in found) else 0)


if __name__ == "__main__":
    main()
