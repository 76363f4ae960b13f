"""What is recorded of a program is what PyTorch's own profiler counts, to the number."""

from __future__ import annotations

import json
import sys
import tomllib

import pytest

from harness.recording import gathering
from scenarios.scenario import Scenario

PROFILED = """
import json, sys, torch
from torch.profiler import profile
{model}
with profile() as seen:
    work()
counted = sum(event.count for event in seen.key_averages() if event.key == "aten::scaled_dot_product_attention")
open({out!r}, "w").write(json.dumps(counted))
"""
PLAIN = """
from torch import nn
layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, dropout=0.0)
model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
x = torch.randn(2, 10, 32)
mask = nn.Transformer.generate_square_subsequent_mask(10)
def work():
    with torch.no_grad():
        model.eval()(x), model(x, mask=mask), model(x, mask=mask)
    model.train()(x).sum().backward()
"""
LLAMA = """
from transformers import LlamaConfig, LlamaForCausalLM
sizes = dict(vocab_size=50, hidden_size=64, intermediate_size=64, num_hidden_layers=2)
model = LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2)).eval()
def work():
    model.generate(torch.arange(8)[None], max_new_tokens=3, do_sample=False)
"""
FORKED = """
import os, torch
from torch.nn.functional import scaled_dot_product_attention as attend
from torch.nn.attention.bias import causal_lower_right
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
q, k = torch.randn(1, 2, 4, 16), torch.randn(1, 2, 6, 16)
attend(q, q, q, is_causal=True), attend(q, k, k, is_causal=True), attend(q, k, k, causal_lower_right(4, 6))
if os.fork() == 0:
    attend(q, q, q, None, 0.25)
    os._exit(0)
os.wait()
near = create_block_mask(lambda b, h, i, j: (i - j < 2) & (i >= j), None, None, 4, 4, device="cpu")
flex_attention(q, q, q, block_mask=near)
flex_attention(q, q, q, score_mod=lambda score, b, h, i, j: score + i)
sys.exit(3)
"""
FLASH = """
import sys, types, torch
sys.path.insert(0, {folder!r})
from flash_attn import flash_attn_func, flash_attn_qkvpacked_func, flash_attn_varlen_func
q = torch.randn(2, 6, 4, 8)
flash_attn_func(q, q, q, causal=True, window_size=(3, 0))
flash_attn_qkvpacked_func(torch.randn(2, 6, 3, 4, 8), 0.0, None, True)
flash_attn_varlen_func(q, q, q)
"""


def recorded(tmp_path, text):
    program = tmp_path / "program.py"
    program.write_text(text)
    return gathering.record([sys.executable, str(program)], output=sys.stderr)


def calls_of(found):
    return {(call.direction, json.dumps(call.point, sort_keys=True)): call.weight for call in found.calls}


def test_calls_are_those_that_the_profiler_counts(tmp_path):
    found = recorded(tmp_path, PROFILED.format(model=PLAIN, out=str(tmp_path / "counted")))
    assert found.code == 0
    assert found.count == json.loads((tmp_path / "counted").read_text()) == 8
    point = {"batch": 2, "heads": 4, "n_q": 10, "n_k": 10, "d": 8}
    assert calls_of(found) == {
        ("forward", json.dumps(point, sort_keys=True)): 2,
        ("forward", json.dumps(point | {"causal": True}, sort_keys=True)): 4,
        ("forward+backward", json.dumps(point, sort_keys=True)): 2,
    }


def test_calls_of_a_model_of_transformers_are_those_that_the_profiler_counts(tmp_path):
    pytest.importorskip("transformers")
    found = recorded(tmp_path, PROFILED.format(model=LLAMA, out=str(tmp_path / "counted")))
    assert found.count == json.loads((tmp_path / "counted").read_text()) == 6
    assert [(call.point["n_q"], call.point["n_k"], call.weight) for call in found.calls] == [
        (8, 8, 2), (1, 9, 2), (1, 10, 2),
    ]  # fmt: skip


def test_a_fork_flex_and_a_causal_bias_are_seen_and_a_rectangle_from_the_first_key_is_left_out(tmp_path):
    found = recorded(tmp_path, "import sys" + FORKED)
    assert found.code == 3
    points = {call.note.partition(";")[0] + ": " + call.note.partition("; ")[2]: call.point for call in found.calls}
    assert points["sdpa: mask: causal"]["causal"]
    assert [call.point["n_k"] for call in found.calls if call.note == "sdpa; mask: causal"] == [4, 6]
    assert "sdpa: mask: none; dropout 0.25, timed without" in points
    assert points["flex: mask: written, window"]["window"] == 2
    assert sorted(found.left_out) == [
        ("causal of a rectangle, aligned at the first key", 1),
        ("flex_attention whose scores are changed by a function", 1),
    ]


def test_flash_attn_is_seen_as_its_layout_window_and_mask_say(tmp_path):
    folder = tmp_path / "flash_attn"
    folder.mkdir()
    names = ("flash_attn_func", "flash_attn_qkvpacked_func", "flash_attn_varlen_func")
    (folder / "flash_attn_interface.py").write_text("".join(f"def {n}(*a, **w): return a[0]\n" for n in names))
    (folder / "__init__.py").write_text(f"from flash_attn.flash_attn_interface import {', '.join(names)}\n")
    found = recorded(tmp_path, FLASH.format(folder=str(tmp_path)))
    assert found.code == 0
    sizes = {"batch": 2, "heads": 4, "n_q": 6, "n_k": 6, "d": 8, "causal": True}
    assert [call.point for call in found.calls] == [
        sizes | {"window": 4, "layout": "bnhd"},
        sizes | {"layout": "packed"},
    ]
    assert found.left_out == (("flash_attn_varlen_func of flash-attn", 1),)


def test_the_file_is_the_scenario_that_it_was_written_from():
    kind = {"of": "sdpa", "point": {"n": 8, "scale": 0.5}, "dtype": "float32", "device": "cpu", "note": 'a "mask"'}
    text = f"{json.dumps({'kind': 0, 'call': kind})}\n0\n0\n0b\n"
    found = gathering.gathered([text, text], ["python", "a b.py"])
    assert [(call.direction, call.weight) for call in found.calls] == [("forward", 2), ("forward+backward", 2)]
    scenario = gathering.scenario_of(found, name="mine")
    read = Scenario.model_validate({"name": "mine", **tomllib.loads(gathering.to_toml(found, scenario))})
    assert read == scenario
