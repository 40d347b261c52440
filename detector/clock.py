"""`Clock`: a training that must end at a set time, with its rate already low."""

from __future__ import annotations

import time

FIRST_GUESS_S = 20.0  # for one validation, until one was timed


class Clock:
    """Counts from its making; the time that the last validation takes is kept free."""

    def __init__(self, minutes: float) -> None:
        self._start = time.monotonic()
        self._end = self._start + 60 * minutes
        self._first_step: float | None = None
        self._reserve = min(FIRST_GUESS_S, 20 * minutes)  # a third at most

    def done(self) -> float:
        """The share of the time for steps that has passed; 0 at the first call."""
        now = time.monotonic()
        if self._first_step is None:
            self._first_step = now
        left = self._end - self._reserve - self._first_step
        return 1.0 if left <= 0 else (now - self._first_step) / left

    def keep_free(self, seconds: float) -> None:
        """Keep that long free for a validation, if it is longer than those before."""
        self._reserve = max(self._reserve, 1.2 * seconds)
