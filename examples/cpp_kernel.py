"""Attention in C++: compiled at the first import, called with the addresses of tensors.

    attnbench check --quick --impl-file examples/cpp_kernel.py

It takes a C++ compiler and no header of PyTorch's, so that it compiles in a second. The source stands in this file, by
which runs tell whether a kernel changed. The library is kept in the user's cache under the source's digest.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

import torch

from attnbench import register

SOURCE = r"""
// Attention of one head after the other, forward: scores of one row at a time, so that memory is O(n_k).
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

// q [batch, heads, n_q, d], k [batch, kv_heads, n_k, d], v [batch, kv_heads, n_k, d_v], out [batch, heads, n_q, d_v],
// each in order. Causal aligns the last query with the last key. A row with nothing to attend to gives zeros.
extern "C" void attend(const float* q, const float* k, const float* v, float* out, int64_t batch, int64_t heads,
                       int64_t kv_heads, int64_t n_q, int64_t n_k, int64_t d, int64_t d_v, float scale, int causal) {
  std::vector<float> weights(n_k);
  for (int64_t pair = 0; pair < batch * heads; ++pair) {
    const int64_t shared = pair / heads * kv_heads + pair % heads / (heads / kv_heads);
    for (int64_t row = 0; row < n_q; ++row) {
      const int64_t end = causal ? std::clamp<int64_t>(row + n_k - n_q + 1, 0, n_k) : n_k;
      const float* query = q + (pair * n_q + row) * d;
      float top = -std::numeric_limits<float>::infinity();
      for (int64_t key = 0; key < end; ++key) {
        const float* other = k + (shared * n_k + key) * d;
        float score = 0.0f;
        for (int64_t i = 0; i < d; ++i) score += query[i] * scale * other[i];
        weights[key] = score;
        top = std::max(top, score);
      }
      float total = 0.0f;
      for (int64_t key = 0; key < end; ++key) total += weights[key] = std::exp(weights[key] - top);
      float* result = out + (pair * n_q + row) * d_v;
      std::fill(result, result + d_v, 0.0f);
      for (int64_t key = 0; key < end; ++key) {
        const float weight = weights[key] / total;
        const float* value = v + (shared * n_k + key) * d_v;
        for (int64_t i = 0; i < d_v; ++i) result[i] += weight * value[i];
      }
    }
  }
}
"""
COMPILER = os.environ.get("CXX", "c++")
FLAGS = ("-O3", "-std=c++17", "-shared", "-fPIC")


def library() -> ctypes.CDLL:
    """Compile the source unless that was done before. Raises CalledProcessError, and OSError without a compiler."""
    said = "\n".join((SOURCE, COMPILER, *FLAGS)).encode()
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "attnbench-examples"
    built = folder / f"attend-{hashlib.sha256(said).hexdigest()[:16]}.so"
    if not built.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as own:
            made = Path(own) / built.name
            subprocess.run([COMPILER, *FLAGS, "-x", "c++", "-", "-o", str(made)], input=SOURCE.encode(), check=True)
            # In one step, so that another process never loads half a file.
            made.replace(built)
    return ctypes.CDLL(str(built))


ATTEND = library().attend
ATTEND.restype = None
ATTEND.argtypes = [ctypes.c_void_p] * 4 + [ctypes.c_int64] * 7 + [ctypes.c_float, ctypes.c_int]


@register(
    problem="attention",
    name="cpp-rows",
    devices=("cpu",),
    dtypes=("float32",),
    supports=("causal", "gqa", "d_v", "dead_rows"),
)
def cpp_rows(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,  # noqa: ARG001  # not in `supports`: never asked
) -> torch.Tensor:
    """Pass the addresses of q [batch, heads, n_q, d], k and v on; tensors that are not in order are copied first."""
    (batch, heads, n_q, d), (kv_heads, n_k, d_v) = q.shape, v.shape[1:]
    q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
    out = torch.empty((batch, heads, n_q, d_v), dtype=q.dtype)
    ATTEND(
        q.data_ptr(), k.data_ptr(), v.data_ptr(), out.data_ptr(),
        batch, heads, kv_heads, n_q, n_k, d, d_v, d**-0.5 if scale is None else scale, causal,
    )  # fmt: skip
    return out
