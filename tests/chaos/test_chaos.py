"""Exact billing under kill -9, for a minute. ``make chaos`` does the same for ten."""

import os

import pytest

from tests.chaos.run import chaos


@pytest.mark.slow
def test_every_answered_call_is_billed_once_whatever_is_killed() -> None:
    result = chaos(float(os.environ.get("TOLLGATE_CHAOS_S", "60")))
    print(result.numbers)
    assert not result.faults, "\n".join(result.faults)
    assert result.numbers["answered"].get(200, 0) > 1_000 and sum(result.numbers["kills"].values()) > 10
