"""Every operation is counted, a product in disguise too, and what can't be seen is said to be declared."""

from __future__ import annotations

import pytest
import torch

from harness.instruments.counting import count


def tensors(n=32, d=16, heads=2, batch=2, device="cpu"):
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(batch, heads, n, d, generator=generator).to(device) for _ in range(3))


def test_products_count_two_operations_a_multiplication():
    a, b = torch.ones(3, 5), torch.ones(5, 7)
    counted = count(lambda: a @ b)
    assert counted.operations == counted.products == 2 * 3 * 5 * 7
    assert counted.how == "counted"


def test_matrix_vector_and_dot_products_are_counted_like_any_other():
    a, b = torch.ones(3, 5), torch.ones(5)
    assert count(lambda: a @ b).products == 2 * 3 * 5
    assert count(lambda: b @ b).products == 2 * 5


def test_other_operators_count_an_operation_an_output_element_and_views_none():
    a = torch.ones(4, 6)
    assert count(a.exp).by_operator == {"aten.exp": 24}
    assert count(lambda: a.mT.reshape(2, 12)[:, :3] + 1).by_operator["aten.add"] == 6
    assert "aten.transpose" not in count(lambda: a.mT + 1).by_operator


@pytest.mark.parametrize("causal", [False, True])
def test_fused_attention_counts_attended_pairs_on_the_cpu(causal):
    q, k, v = tensors()
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.FLASH_ATTENTION):
        counted = count(lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal))
    pairs = 4 * (32 * 33 // 2 if causal else 32 * 32)
    assert counted.products == 4 * pairs * 16


def test_meta_tensors_count_what_real_ones_do():
    def textbook(q, k, v):
        return torch.softmax(q @ k.mT, -1) @ v

    real, meta = tensors(), tensors(device="meta")
    assert count(lambda: textbook(*real)) == count(lambda: textbook(*meta))
    big = tensors(n=2**17, device="meta")
    assert count(lambda: textbook(*big)).products == 4 * 4 * 2**34 * 16


def test_inference_mode_hides_nothing():
    q, k, v = tensors()
    with torch.inference_mode():
        counted = count(lambda: torch.nn.functional.linear(q, k[0, 0]) @ v)
    assert counted.products > 0
    assert counted.how == "counted"


def test_a_call_that_writes_unseen_is_declared():
    """Stand in for a kernel of one's own: it fills a buffer without dispatching an operator."""
    a = torch.ones(4)

    def unseen():
        out = torch.empty(4)
        out.numpy()[:] = a.numpy() * 2
        return out

    counted = count(unseen)
    assert counted.how == "declared"
    assert "written by nothing" in counted.opaque[0]


def test_a_buffer_filled_unseen_and_read_is_noticed():
    a = torch.ones(4)

    def unseen():
        buffer = torch.empty(4)
        buffer.numpy()[:] = a.numpy() * 2
        return buffer + 1

    assert "reads what nothing" in count(unseen).opaque[0]


def test_a_buffer_that_operators_fill_is_fine():
    def seen():
        buffer = torch.empty(4)
        buffer.copy_(torch.ones(4))
        return buffer + 1

    assert count(seen).how == "counted"


def test_a_custom_operator_without_a_formula_is_declared():
    library = torch.library.Library("attnbench_test", "DEF")
    library.define("twice(Tensor x) -> Tensor")
    library.impl("twice", lambda x: x * 2, "CompositeExplicitAutograd")
    counted = count(lambda: torch.ops.attnbench_test.twice(torch.ones(3)))
    assert counted.opaque == ("attnbench_test.twice hides its work",)
