"""Several devices by one command: what can't go together is refused in a line."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace

import pytest

from attnbench import many
from attnbench.options import Devices
from harness.cluster import coordinate, quiet
from harness.cluster.crew import Crew, Reach
from harness.cluster.orders import Order
from harness.cluster.seen import NoDeviceError, Patience
from harness.cluster.store import Store
from harness.results.run import read_run
from harness.runner.plan import code_fingerprint
from tests.support import stand_in_child
from tests.support.commands import in_process
from tests.support.places import ROOT
from tests.support.scripted import Listener, plan_of
from tests.support.steps import FIRST


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--on", "h100"], "--workers, for those of this host, or --cluster"),
        (["--workers", "2", "--cluster", "tcp://x:1"], "one of the two"),
        (["--workers", "many"], "--workers 'many' must read local, or how many"),
        (["--cluster", "tcp://x:1", "--device", "cpu"], "give them to `attnbench worker`"),
        (["--cluster", "gone.json"], "gone.json: no such file, and no address of a scheduler"),
        (["--workers", "2", "--shard", "1/2"], "--shard cuts a plan"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(tmp_path, options, line):
    done = in_process("run", "smoke", *options, "-o", tmp_path / "out")
    assert done.exit_code == 2
    assert line in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_class_that_no_worker_here_will_offer_is_one_line_at_once(tmp_path):
    pytest.importorskip("distributed")
    done = in_process("run", "smoke", "--workers", "1", "--device", "cpu", "--on", "h100,cpu", "-o", tmp_path / "out")
    assert (done.exit_code, done.stderr) == (2, "attnbench: no worker offers 'h100'; there is 1 cpu\n")


def test_what_is_no_sweep_is_not_gone_on_with(tmp_path):
    pytest.importorskip("distributed")
    done = in_process("run", "--resume", "--workers", "1", "--device", "cpu", "-o", tmp_path)
    assert done.exit_code == 2
    assert done.stderr == f"attnbench: {tmp_path} holds no sweep over several devices to resume\n"


@pytest.fixture
def swept(tmp_path):
    """A sweep of one chunk for an H100, no two at once on a host, that has its part."""
    store = Store(tmp_path / "out")
    store.make()
    plan = plan_of(FIRST, fingerprint=code_fingerprint())
    order = Order(chunk="1", on="h100", fingerprint=plan.fingerprint, plan=plan)
    store.begin([order], command=["run"], one_per_host=True)
    stand_in_child.close_cases(order, tmp_path)
    (tmp_path / "run").rename(store.part(order.name))
    return store


def test_a_sweep_that_lacks_nothing_is_merged_without_any_worker(swept, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(many, "reached", None)
    done = in_process("run", "--resume", "--workers", "1", "--device", "cpu", "-o", swept.directory)
    assert done.exit_code == 0, done.output
    assert [record.case.id for record in read_run(swept.directory).records] == [FIRST.case.id]


def test_a_sweep_whose_devices_others_held_ends_with_4(swept, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(many, "reached", None)
    swept.part("h100-1").rename(tmp_path / "gone")
    (order,) = swept.missing()
    swept.abandon(order, ["a cuda:0 (device cuda:0 is held by another run (process 7))"], "over_budget")
    done = in_process("run", "--resume", "--workers", "1", "--device", "cpu", "-o", swept.directory)
    assert done.exit_code == 4, done.output
    assert "process 7" in read_run(swept.directory).records[0].reason


def test_a_sweep_is_not_gone_on_with_as_another(swept, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(many, "reached", None)
    done = in_process("run", "heads", "--resume", "--workers", "1", "--impl", "loop", "-o", swept.directory)
    assert done.exit_code == 2
    assert f"{swept.directory} was planned without scenario heads, --impl loop; --resume goes on" in done.stderr


def test_a_sweep_goes_on_as_it_was_begun_on_devices_of_its_classes(swept, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    swept.part("h100-1").rename(tmp_path / "gone")
    done = in_process("run", "--resume", "-o", swept.directory)
    line = f"attnbench: {swept.directory} holds a sweep over several devices: --resume it with --workers or --cluster\n"
    assert (done.exit_code, done.stderr) == (2, line)
    heard = {}
    monkeypatch.setattr(coordinate, "measure", lambda *_, **options: heard.update(options))
    fleet = many.Fleet(None, (), Counter(), keep=None, patience=Patience())
    many.measure(swept, None, None, fleet=fleet, devices=Devices(), screen=Listener(), interrupt=threading.Event())
    assert heard["one_per_host"]
    here = replace(fleet, started=Counter(cpu=2))
    with pytest.raises(NoDeviceError, match="no worker offers 'h100'; there is 2 cpu"):
        many.measure(swept, None, None, fleet=here, devices=Devices(), screen=Listener(), interrupt=threading.Event())


def test_what_the_end_of_a_sweep_needs_is_loaded_while_nothing_is_measured(swept, monkeypatch):
    loaded = threading.Event()
    monkeypatch.setattr(many, "load_early", loaded.set)
    monkeypatch.setattr(coordinate, "measure", lambda *_, **__: loaded.wait(10.0) or pytest.fail("it is not loaded"))
    fleet = many.Fleet(None, (), Counter(), keep=None, patience=Patience())
    many.measure(swept, None, None, fleet=fleet, devices=Devices(), screen=Listener(), interrupt=threading.Event())


def test_pages_need_nothing_heavy_that_is_not_loaded_early():
    code = "from attnbench import many; many.load_early(); import sys; print(*sys.modules)"
    words = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {"matplotlib.figure", "pandas", "scipy.optimize", "scipy.special", "seaborn", "jinja2"} <= set(words.split())


def test_workers_that_can_not_be_started_are_not_waited_for():
    crew = Crew([], Reach())
    with pytest.raises(ConnectionError, match="no worker is left here"):
        many.kept(crew)()


def test_without_the_engine_the_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(quiet.importlib.util, "find_spec", lambda _name: None)
    done = in_process("run", "smoke", "--workers", "2", "-o", tmp_path / "out")
    assert (done.exit_code, "pip install 'attnbench[cluster]'" in done.stderr) == (2, True)
