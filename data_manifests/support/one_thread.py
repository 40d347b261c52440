"""`one_thread`: what a process does that shares the cores with others of its kind."""

from __future__ import annotations

import cv2
from threadpoolctl import threadpool_limits


def one_thread() -> None:
    """Leave OpenCV, numpy and scipy one thread each: more would only fight over the cores."""
    cv2.setNumThreads(1)
    threadpool_limits(1)
