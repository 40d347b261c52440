"""`provenance`: what a run needs to be told apart and repeated: versions, commit, threads, time."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import torch

PACKAGES = ("pneumoloc", "torch", "torchvision", "numpy", "opencv-python-headless", "pillow")


def provenance() -> dict[str, str | int]:
    """Package versions, git commit where the code lies in a repository, threads, UTC time."""
    found: dict[str, str | int] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    found["git_commit"] = _git_commit()
    found["threads"] = torch.get_num_threads()
    found["time_utc"] = datetime.now(UTC).isoformat(timespec="seconds")
    return found


def _git_commit() -> str:
    try:
        result = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 - the user's own git
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return result.stdout.strip() if result.returncode == 0 else "unknown"
