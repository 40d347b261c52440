"""`provenance`: what a run needs to be told apart and repeated: versions, commit, CPU, time."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import torch

from data_manifests.tables.manifest import Manifest
from detector.run.device import has_bfloat16

PACKAGES = ("pneumoloc", "torch", "torchvision", "numpy", "opencv-python-headless", "pillow")


def provenance() -> dict[str, str | int]:
    """Package versions, git commit where the code lies in a repository, CPU, threads, UTC time.

    Sums are rounded in another order on a CPU with other instructions, and `precision: auto` asks
    for bfloat16: numbers repeat to the bit on a like CPU alone.
    """
    found: dict[str, str | int] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    found["git_commit"] = _git_commit()
    found["cpu"] = torch.backends.cpu.get_cpu_capability()
    found["cpu_bfloat16"] = has_bfloat16(torch.device("cpu"))
    found["threads"] = torch.get_num_threads()
    found["time_utc"] = datetime.now(UTC).isoformat(timespec="seconds")
    return found


def manifest_sha256(manifest: Manifest) -> str:
    """SHA-256 of a manifest's films and boxes; another one means other training data."""
    digest = hashlib.sha256()
    for table in (manifest.images, manifest.boxes):
        digest.update(table.to_csv(index=False, lineterminator="\n").encode("utf-8"))
    return digest.hexdigest()


def _git_commit() -> str:
    source = Path(__file__).resolve().parents[2]
    try:
        result = subprocess.run(
            ["git", "rev-parse", "--show-toplevel", "HEAD"],  # noqa: S607 - the user's own git
            cwd=source,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    if result.returncode != 0:
        return "unknown"
    top, commit = result.stdout.split("\n")[:2]
    # Installed inside another project's repository, that project's commit means nothing.
    return commit if Path(top).resolve() == source else "unknown"
