"""An honest implementation whose file changes the process for everyone when it is imported; used with --impl-file."""

import sys

import torch

from attnbench import register

torch.set_num_threads(torch.get_num_threads() + 1)
torch.set_flush_denormal(True)
torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
sys.setswitchinterval(0.5)


@register(problem="attention", name="planted-changes")
def changes(q, k, v, *, causal=False, scale=None, valid_lens=None):
    return ((q * (q.shape[-1] ** -0.5 if scale is None else scale)) @ k.mT).softmax(-1) @ v
