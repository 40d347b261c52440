"""`progress_bar`: what reaches a terminal, and what a log."""

from __future__ import annotations

import io
import sys
import threading
from weakref import WeakSet

import pytest

from data_manifests.support import progress_bar as module
from data_manifests.support.progress_bar import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def no_other_bar(monkeypatch):
    """Bars that other tests left open move a new one to the next line of a terminal."""
    monkeypatch.setattr(module._Bar, "_instances", WeakSet(), raising=False)


def test_a_terminal_gets_a_bar_that_overwrites_itself(monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    assert list(progress_bar(range(3), desc="films", unit="film")) == [0, 1, 2]
    assert "\rfilms: 100%|" in terminal.getvalue()
    assert terminal.getvalue().count("\n") == 1


def test_a_short_job_writes_nothing_into_a_log(monkeypatch):
    monkeypatch.setattr(sys, "stderr", log := io.StringIO())
    with progress_bar(range(1000), desc="films", unit="film") as bar:
        for number in bar:
            bar.set_postfix(loss=number, refresh=False)
    assert bar.n == 1000
    assert log.getvalue() == ""


def test_a_long_job_writes_lines_into_a_log(monkeypatch):
    monkeypatch.setattr(module, "LOG_SECONDS", 1e-9)
    monkeypatch.setattr(sys, "stderr", log := io.StringIO())
    with progress_bar(desc="films", unit="film", total=3, leave=False) as bar:
        for count in range(3):
            bar.set_postfix(loss=f"{count}.5", refresh=False)
            bar.update()
    lines = log.getvalue().splitlines()
    assert "\r" not in log.getvalue()
    assert all(line.startswith("films: ") for line in lines)
    assert lines[-1].startswith("films: 3 of 3 [")
    assert lines[-1].endswith(", loss=2.5]")


def test_a_line_of_a_log_stands_below_no_bar_that_was_left_open(monkeypatch):
    monkeypatch.setattr(module, "LOG_SECONDS", 1e-9)
    monkeypatch.setattr(sys, "stderr", log := io.StringIO())
    left_open = progress_bar(desc="left", unit="film", total=3)
    with progress_bar(desc="films", unit="film", total=3) as bar:
        bar.update(3)
    left_open.close()
    assert "\n\n" not in log.getvalue()
    assert "\x1b" not in log.getvalue()
    assert "films: 3 of 3 [" in log.getvalue()


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_a_disabled_bar_is_silent_everywhere(monkeypatch, stream):
    monkeypatch.setattr(module, "LOG_SECONDS", 1e-9)
    monkeypatch.setattr(sys, "stderr", written := stream())
    with progress_bar(desc="films", unit="film", total=3, disable=True) as bar:
        bar.update(3)
    assert written.getvalue() == ""


def test_a_bar_starts_no_thread(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    before = threading.active_count()
    with progress_bar(desc="films", unit="film", total=3):
        assert threading.active_count() == before
