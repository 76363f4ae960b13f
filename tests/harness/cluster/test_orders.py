"""Orders travel as JSON and come back the same; kernels travel with what they import."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cluster.orders import Asked, Kernel, Limits, Order, class_of, kernels_of, laid_out
from harness.policy import FAST
from harness.runner.selection import Request, Selection, TimeLimits
from impls.discovery import helpers
from scenarios import catalog


def test_a_request_comes_back_as_it_was_but_for_the_device():
    request = Request(
        scenarios=(catalog.find("smoke"),),
        selection=Selection(implementations=("sdpa-*",), axes={"n": [16, 32]}, dtypes=("float32",), keyword="not n=16"),
        device="cpu",
        policy=FAST,
        preset="fast",
        threads=1,
        seed=7,
        command=("attnbench", "run"),
    )
    order = Order(chunk="plan", on="h100", fingerprint={"code": "c"}, asked=Asked.of(request))
    back = Order.model_validate_json(order.model_dump_json(by_alias=True))
    assert back == order
    assert back.asked.request(device="cpu", impl_files=()) == request
    assert back.name == "h100-plan"


def test_limits_are_those_of_a_run_with_the_budget_of_a_chunk():
    limits = TimeLimits(timeout=3.0, budget=900.0, started=5.0, sustain=True)
    assert Limits.of(limits, budget=60.0).time_limits() == TimeLimits(timeout=3.0, budget=60.0, sustain=True)


def test_kernels_travel_with_the_files_beside_them(tmp_path):
    main, beside = tmp_path / "mine" / "kernel.py", tmp_path / "mine" / "tiles" / "__init__.py"
    beside.parent.mkdir(parents=True)
    main.write_text("import tiles\nimport os\n")
    beside.write_text("SIZE = 4\n")
    (tmp_path / "mine" / "other.py").write_text("")
    kernels = kernels_of((str(main),))
    assert sorted(kernels[0].files) == ["kernel.py", "tiles/__init__.py"]
    (there,) = laid_out(kernels, tmp_path / "there")
    assert Path(there).read_text() == main.read_text()
    assert [file.read_text() for file in helpers(tmp_path / "there" / "0" / "kernel.py")] == ["SIZE = 4\n"]


def test_no_module_of_kernels_before_is_left_for_those_that_come(tmp_path):
    laid_out([Kernel(path="k.py", files={"k.py": "1", "beside.py": "1"})], tmp_path / "there")
    (there,) = laid_out([Kernel(path="k.py", files={"k.py": "2"})], tmp_path / "there")
    assert [(file.name, file.read_text()) for file in Path(there).parent.iterdir()] == [("k.py", "2")]


def test_a_kernel_is_not_written_outside_its_folder(tmp_path):
    with pytest.raises(ValueError, match="outside"):
        laid_out([Kernel(path="k.py", files={"k.py": "", "../x.py": ""})], tmp_path / "there")
    assert not (tmp_path / "x.py").exists()


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("NVIDIA GH200 480GB", "gh200"),
        ("NVIDIA GeForce RTX 4090", "rtx4090"),
        ("Tesla T4", "t4"),
        ("AMD Instinct MI300X", "mi300x"),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", "h100-1g.10gb"),
        ("Some GPU", "some-gpu"),
        ("", "gpu"),
    ],
)
def test_a_class_is_the_model_in_a_word(model, name):
    assert class_of(model) == name
