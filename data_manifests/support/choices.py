"""Choices that several commands offer; `--help` lists their values."""

from __future__ import annotations

from enum import StrEnum


class OnError(StrEnum):
    """What a bad film or row does: it stops the command, or it is left out and listed."""

    FAIL = "fail"
    SKIP = "skip"


class DeviceName(StrEnum):
    """Where networks run; `auto` is the GPU where there is one."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class LeakName(StrEnum):
    """Overlaps of training and test data that a caller may accept by name."""

    SHARED_PATIENTS = "shared-patients"
    SHARED_FILMS = "shared-films"
    NIH_RSNA = "nih-rsna"
