"""Errors stand against budgets from the reference's own, with room for chance where few rows carry it."""

from __future__ import annotations

import math

import pytest
import torch

from harness.gate.errors import chance, effective_rows
from harness.policy import GatePolicy
from impls.contract import Witness


def test_chance_leaves_room_where_one_row_has_all_the_error_and_little_where_many_share_it():
    oracle = torch.arange(1600.0).reshape(400, 4)
    lone = oracle.clone()
    lone[7] += 1.0
    alike = torch.ones(400, 4)
    assert effective_rows(Witness(oracle, oracle + 1, oracle)) == pytest.approx(400)
    assert effective_rows(Witness(oracle, lone, oracle)) == pytest.approx(1)
    assert effective_rows(Witness(alike, alike + 1, alike)) == pytest.approx(1)
    assert chance(400, GatePolicy()) == pytest.approx(math.exp(0.2))
    assert chance(1, GatePolicy()) > 50
