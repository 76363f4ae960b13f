"""A supervisor keeps a worker alive: real processes that hang, die or speak another protocol cost a request each."""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from harness.policy import DEFAULT
from harness.protocol.messages import Describe, Described, Failed, ReadCanary
from harness.runner import allocator
from harness.runner import process as runner_process
from harness.runner import supervisor as runner_supervisor
from harness.runner.supervisor import Stages, Supervisor, WorkerError, WorkerSettings, resident_cap, variables_of
from tests.support.places import ROOT
from tests.support.scripted import Listener

WHY_NOT = allocator.why_not("cpu", os.environ)
SETTINGS = WorkerSettings(device="cpu", policy=DEFAULT)
WORKER = """#!{python}
import os, signal, sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from harness.protocol.channel import Channel, ClosedError
from harness.protocol.messages import Described, Failed, Started, Step, encode

channel = Channel(read=int(sys.argv[-3]), write=int(sys.argv[-2]))
folder = Path({folder!r})
say = lambda message: channel.send(encode(message))
described = lambda name="worker": say(Described(device_name=name, implementations=[], threads=1))
started = lambda request: say(Started(free=2**30))

def times():
    with (folder / "times").open("a") as file:
        file.write("x")
    return (folder / "times").stat().st_size

{body}

while True:
    try:
        request = channel.receive()
    except ClosedError:
        break
    (started if request["do"] == "start" else answer)(request)
"""


class Ahead:
    """A process that waits, and what is done to it."""

    is_stuck = False

    def __init__(self, variables, *, has_ended=False):
        self.variables, self.has_ended, self.done = variables, has_ended, []

    def begin(self, start, **_):
        self.done.append(start.device)

    def close(self):
        self.done.append("closed")


@pytest.mark.parametrize(
    ("variables", "has_ended", "done"),
    [
        (variables_of("cpu", keep_memory=True), False, "cpu"),
        (variables_of("cpu", keep_memory=True), True, "closed"),
        ({"A": "1"}, False, "closed"),
    ],
)
def test_a_process_that_waits_is_the_first_worker_where_it_lives_and_its_environment_is_the_one_wanted(
    variables, has_ended, done, monkeypatch
):
    monkeypatch.setattr(runner_supervisor, "WorkerProcess", lambda *_, **__: Ahead({}))
    ahead = Ahead(variables, has_ended=has_ended)
    with Supervisor(SETTINGS, progress=Listener(), ahead=ahead) as made:
        made.launch()
        assert ahead.done == [done]
        assert (made._coming is ahead) == (done == "cpu")
    assert ahead.done[-1] == "closed"


def test_a_process_that_nobody_asked_anything_ends_with_its_supervisor():
    ahead = Ahead({})
    with Supervisor(SETTINGS, progress=Listener(), ahead=ahead):
        pass
    assert ahead.done == ["closed"]


@pytest.fixture
def supervised(tmp_path):
    """Return a function that starts a supervisor of workers which run some code."""
    running = []

    def make(body, settings=SETTINGS):
        interpreter = tmp_path / "interpreter"
        code = WORKER.format(python=sys.executable, root=str(ROOT), folder=str(tmp_path), body=textwrap.dedent(body))
        interpreter.write_text(code)
        interpreter.chmod(0o755)
        running.append(Supervisor(settings, progress=Listener(), interpreter=str(interpreter)))
        return running[-1]

    yield make
    for supervisor in running:
        supervisor.drop()


def test_a_worker_is_run_by_the_interpreter_that_was_given(supervised):
    supervisor = supervised("def answer(request): described(sys.argv[0])")
    answer = supervisor.ask(Describe())
    assert isinstance(answer, Described)
    assert answer.device_name.endswith("/interpreter")
    assert supervisor.started_workers == 1


def test_a_worker_that_dies_costs_one_request_and_its_last_words_are_kept(supervised):
    supervisor = supervised("""
        def answer(request):
            if times() == 1:
                print("a planted last word", flush=True)
                os.kill(os.getpid(), signal.SIGSEGV)
            described()
    """)
    lost = supervisor.ask(Describe())
    assert isinstance(lost, Failed)
    assert (lost.status, lost.worker_gone) == ("crashed", True)
    assert "killed by SIGSEGV" in lost.reason
    assert "a planted last word" in lost.reason
    assert isinstance(supervisor.ask(Describe()), Described)
    assert supervisor.started_workers == 2


def test_a_worker_that_hangs_is_killed_at_its_deadline(supervised):
    supervisor = supervised("""
        def answer(request):
            say(Step(step="planted step"))
            (folder / "pid").write_text(str(os.getpid()))
            time.sleep(600)
    """)
    lost = supervisor.ask(Describe(), seconds=3.0)
    assert isinstance(lost, Failed)
    assert (lost.status, lost.reason) == ("timeout", "no answer to 'planted step' within 3 s")
    assert not psutil.pid_exists(int(Path(supervisor._interpreter).with_name("pid").read_text()))


def test_a_failure_that_leaves_the_worker_sound_does_not_replace_it(supervised):
    supervisor = supervised("""
        def answer(request):
            described() if times() > 1 else say(Failed(status="unsupported", reason="not this one"))
    """)
    assert isinstance(supervisor.ask(Describe()), Failed)
    assert isinstance(supervisor.ask(Describe()), Described)
    assert supervisor.started_workers == 1


@pytest.mark.parametrize("losses", [0, 1, 2])
def test_a_worker_lost_at_what_belongs_to_no_case_is_replaced_once(supervised, losses):
    supervisor = supervised(f"""
        def answer(request):
            os._exit(7) if times() <= {losses} else described()
    """)
    if losses < 2:
        assert supervisor.require(Describe()).device_name == "worker"
        assert supervisor.started_workers == 1 + losses
    else:
        with pytest.raises(WorkerError, match="failed at 'describe': worker exited with code 7"):
            supervisor.require(Describe())


def test_a_source_that_kills_the_worker_on_import_is_skipped_and_told_of(supervised):
    supervisor = supervised("""
        def started(request):
            if "mine.py" not in request["skip"]:
                say(Step(step="import mine.py"))
                os.kill(os.getpid(), signal.SIGABRT)
            say(Started(free=2**30))

        def answer(request): described()
    """)
    assert isinstance(supervisor.ask(Describe()), Described)
    ((name, (source, reason), _),) = supervisor._progress.events
    assert (name, source) == ("unavailable", "mine.py")
    assert "SIGABRT" in reason
    assert supervisor.started_workers == 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("def started(request): os._exit(3)", "no worker can be started: worker exited with code 3 in 'start'"),
        (
            "def started(request): channel.send({'kind': 'started', 'protocol': 0, 'free': 1})",
            "no worker can be started: the worker speaks protocol 0",
        ),
    ],
)
def test_a_worker_that_can_not_start_ends_the_run_with_the_reason(supervised, body, said):
    with pytest.raises(WorkerError, match=said):
        supervised(body + "\nanswer = None").ask(Describe())


GPU = WorkerSettings(device="cuda:0", policy=DEFAULT)


def test_a_start_that_fails_on_a_gpu_is_tried_again_with_patience(supervised):
    waited = []
    supervisor = supervised(
        """
        def started(request):
            if times() < 3:
                return say(Failed(status="crashed", reason="all CUDA-capable devices are busy or unavailable"))
            say(Started(free=2**30))

        def answer(request): described(os.environ["CUDA_SCALE_LAUNCH_QUEUES"])
        """,
        GPU,
    )
    supervisor._sleep = waited.append
    assert supervisor.require(Describe()).device_name == "4x"
    assert waited == [1.0, 5.0]
    assert supervisor.started_workers == 3


def test_a_gpu_that_fell_off_the_bus_ends_the_run_after_a_few_starts(supervised):
    waited = []
    supervisor = supervised(
        "def started(request): say(Failed(status='crashed', reason='no CUDA-capable device'))\nanswer = None", GPU
    )
    supervisor._sleep = waited.append
    with pytest.raises(WorkerError, match="no CUDA-capable device"):
        supervisor.ask(Describe())
    assert sum(waited) <= 30
    assert supervisor.started_workers == 4


def test_a_worker_that_can_not_be_killed_is_left_behind_and_none_is_started_beside_it(supervised, monkeypatch):
    supervisor = supervised("def answer(request): described()", GPU)
    supervisor.ask(Describe())
    process = supervisor._worker._process
    monkeypatch.setattr(runner_process, "KILL_SECONDS", 0.2)
    monkeypatch.setattr(runner_process.os, "killpg", lambda *_: None)
    supervisor.drop()
    with pytest.raises(WorkerError, match="can't be killed"):
        supervisor.ask(Describe())
    assert supervisor.started_workers == 1
    process.kill()
    process.wait()


def test_an_answer_to_another_question_is_a_crash_and_not_a_result(supervised):
    supervisor = supervised("""
        def answer(request):
            say(Started(free=1))
    """)
    lost = supervisor.ask(Describe())
    assert isinstance(lost, Failed)
    assert (lost.status, lost.worker_gone) == ("crashed", True)
    assert "Started is no answer to Describe" in lost.reason


@pytest.mark.skipif(bool(WHY_NOT), reason=f"no allocator to choose: {WHY_NOT}")
def test_workers_keep_their_memory_and_those_beside_them_give_it_back(supervised):
    keeping = supervised("def answer(request): described(os.environ.get('MALLOC_TRIM_THRESHOLD_', 'none'))")
    assert keeping.require(Describe()).device_name == allocator.KEEPING["MALLOC_TRIM_THRESHOLD_"]
    with keeping.returning_memory() as returning:
        assert returning.require(Describe()).device_name == "none"
        assert returning.settings.keep_memory is False


def test_the_end_of_its_context_is_the_end_of_the_worker(supervised):
    with supervised("def answer(request): described(str(os.getpid()))") as supervisor:
        pid = int(supervisor.require(Describe()).device_name)
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)


def test_the_resident_cap_lies_above_the_limit_that_a_worker_sets_itself():
    share = DEFAULT.memory.share
    assert share * 1000 < resident_cap(SETTINGS, free=1000) <= 1000
    assert resident_cap(WorkerSettings(device="cuda:0", policy=DEFAULT), free=1000) is None


def test_seconds_are_booked_by_stage_and_a_part_of_the_run_may_have_its_own():
    stages = Stages()
    stages.add({"oracle": 1.0})
    with stages.under("fresh memory"):
        stages.add({"timed samples": 2.0, "oracle": 0.5})
    stages.add({"oracle": 0.25})
    assert stages.seconds == {"oracle": 1.25, "fresh memory": 2.5}


def test_a_worker_tells_where_its_seconds_went():
    with Supervisor(SETTINGS, progress=Listener()) as supervisor:
        supervisor.require(ReadCanary())
        assert {"starting workers", "canary"} <= set(supervisor.stages.seconds)
        with supervisor.returning_memory() as second:
            assert second.stages is supervisor.stages
