"""`progress_bar`: how far a long job is, as a bar on a terminal and as lines in a log."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

LOG_SECONDS = 60.0
LOG_LINE = "{desc}: {n_fmt} of {total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"


def progress_bar(
    items: Iterable[Any] | None = None,
    *,
    desc: str,
    unit: str,
    total: int | None = None,
    initial: int = 0,
    leave: bool = True,
    delay: float = 0.0,
    disable: bool = False,
) -> tqdm[Any]:
    """tqdm's bar on standard error; where that is a file or a pipe, a line a minute.

    A job of less than a minute writes nothing into a log, a longer one its end as well. `delay`:
    seconds before a bar appears on a terminal.
    """
    is_terminal = sys.stderr.isatty()
    return _Bar(
        items,
        desc=desc,
        unit=unit,
        total=total,
        initial=initial,
        disable=disable,
        file=sys.stderr if is_terminal else _Lines(),
        leave=leave if is_terminal else True,
        position=None if is_terminal else 0,  # a line of a log stands below no other bar
        delay=delay if is_terminal else LOG_SECONDS,
        miniters=1,
        mininterval=0.1 if is_terminal else LOG_SECONDS,
        bar_format=None if is_terminal else LOG_LINE,
    )


class _Bar(tqdm):  # type: ignore[type-arg] # a class of its own needs none
    """Without tqdm's thread, which waits for ever where there is no memory left to start it."""

    monitor_interval = 0


class _Lines(io.TextIOBase):
    """Standard error with a line for each state of a bar, which else would overwrite its last."""

    def write(self, text: str) -> int:
        if state := text.strip("\r\n "):
            sys.stderr.write(f"{state}\n")
        return len(text)

    def flush(self) -> None:
        sys.stderr.flush()
