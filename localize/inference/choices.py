"""The choices of a prediction, as `--help` shows them."""

from __future__ import annotations

from typing import Literal

Engine = Literal["torch", "onnx", "ray"]
Precision = Literal["float32", "bfloat16"]
Ranking = Literal["localizer", "detector"]
OnError = Literal["raise", "skip"]
Device = Literal["auto", "cpu", "cuda"]
