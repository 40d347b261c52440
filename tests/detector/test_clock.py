"""A training's clock: shares of the time for steps, with the last validation's time kept free."""

from __future__ import annotations

import pytest

from detector import clock as module
from detector.clock import Clock


@pytest.fixture
def now(monkeypatch):
    time = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: time[0])
    return time


def test_it_ends_before_the_last_validation(now):
    clock = Clock(minutes=2)  # 20 s are kept free until a validation was timed
    now[0] += 10  # reading films
    assert clock.done() == 0
    now[0] += 45
    assert clock.done() == pytest.approx(0.5)
    now[0] += 45
    assert clock.done() == pytest.approx(1)


def test_a_long_validation_keeps_more_time_free(now):
    clock = Clock(minutes=2)
    clock.done()
    now[0] += 50
    clock.keep_free(30)
    assert clock.done() == pytest.approx(50 / (120 - 36))
    clock.keep_free(1)
    assert clock.done() == pytest.approx(50 / (120 - 36)), "the longest counts"


def test_no_time_left_is_the_end(now):
    clock = Clock(minutes=0.5)
    now[0] += 60
    assert clock.done() == 1
