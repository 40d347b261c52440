"""`Bundle`: a folder with everything that prediction needs, verified when it is opened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from attributes.vectors.word_vectors import WordVectors, read_word_vectors
from data_manifests.support.atomic import file_sha256
from data_manifests.support.errors import CheckpointError
from detector.config import DetectorConfig
from detector.detector import load_detector
from detector.network.torchvision_parts import RetinaNet
from localize.bundle.calibration import Calibration, read_calibration
from localize.bundle.film_guard import FilmGuard, read_guard
from localize.network.config import LocalizerConfig
from localize.network.localizer import Localizer, build_localizer, load_localizer_weights
from localize.severity.model import SeverityModel, read_severity

FORMAT_VERSION = 1
DESCRIPTION = "bundle.json"
NEEDED = (
    "detector.json",
    "localizer.json",
    "localizer.safetensors",
    "word_vectors.safetensors",
    "vectors.json",
    "calibration.json",
)
GUARD = "guard.safetensors"
SIZES = ("feature_width", "word_width", "keywords")


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: networks in evaluation mode, word vectors, calibration.

    `severity` and `guard` are None where the bundle has none. `bundle_id` is the SHA-256 of
    `bundle.json`, which holds the checksum of every other file.
    """

    detector: RetinaNet
    detector_config: DetectorConfig
    localizer: Localizer
    localizer_config: LocalizerConfig
    words: WordVectors
    calibration: Calibration
    severity: SeverityModel | None
    guard: FilmGuard | None
    description: Mapping[str, Any]  # Any: whatever JSON holds
    bundle_id: str

    @property
    def unproven_keywords(self) -> tuple[str, ...]:
        """Keywords that were not shown to be right on real films (`evidence` in `bundle.json`).

        Empty for bundles that do not state any evidence.
        """
        evidence: Mapping[str, Mapping[str, Any]] = self.description.get("evidence", {})
        return tuple(word for word, one in evidence.items() if one.get("source") == "none")


def verify_bundle(folder: Path) -> dict[str, Any]:
    """Check the checksum of every file; returns the content of `bundle.json`.

    Raises:
        CheckpointError: not a bundle, another version, or a file that is missing, changed or not
            listed in it.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        got = f"no {DESCRIPTION}" if folder.is_dir() else "no such folder"
        raise CheckpointError(f"{folder}: expected a model bundle, got {got}")
    description = read_json(path)
    if description.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: expected format_version {FORMAT_VERSION}, "
            f"got {description.get('format_version')}"
        )
    files = description.get("files")
    if not isinstance(files, dict):
        raise CheckpointError(f"{path}: expected a `files` object with checksums")
    for name, checksum in files.items():
        if not _is_file_in(folder, name):
            raise CheckpointError(
                f"{folder}: expected a file {name[:200]!r}, which {DESCRIPTION} names, got none; "
                "get the bundle again"
            )
        if file_sha256(folder / name) != checksum:
            raise CheckpointError(
                f"{folder / name}: expected the SHA-256 in {DESCRIPTION}, got another: the file "
                "was changed or damaged; get the bundle again"
            )
    for needed in NEEDED:
        if needed not in files:
            raise CheckpointError(f"{path}: expected {needed} among its files")
    for found in sorted(folder.iterdir()):
        if found.suffix in (".json", ".safetensors") and found.name not in (*files, DESCRIPTION):
            raise CheckpointError(f"{found}: expected a file named in {DESCRIPTION}; remove it")
    return description


def load_bundle(folder: Path) -> Bundle:
    """Verify a bundle and load it; nothing in it can run code.

    Raises:
        CheckpointError: see `verify_bundle`; or weights that do not fit their configuration.
    """
    description = verify_bundle(folder)
    detector = load_detector(folder)
    words = read_word_vectors(folder)
    content = read_json(folder / "localizer.json")
    try:
        config = LocalizerConfig.stored(content["localizer"])
        sizes = {name: int(content["sizes"][name]) for name in SIZES}
        keywords = tuple(content["keywords"])
        # Without memory: a hostile size shows when the weights are compared with it.
        with torch.device("meta"):
            localizer = build_localizer(config, **sizes)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{folder / 'localizer.json'}: expected a localizer's configuration, "
            f"got {str(error).splitlines()[0]}"
        ) from error
    for name, expected, got in (
        ("keywords", words.keywords, keywords),
        ("sizes.keywords", len(words.keywords), sizes["keywords"]),
        ("sizes.word_width", words.vectors.shape[1], sizes["word_width"]),
        ("sizes.feature_width", detector.config.fpn_width, sizes["feature_width"]),
    ):
        if expected != got:
            raise CheckpointError(
                f"{folder / 'localizer.json'}, field {name}: expected {expected} as the bundle's "
                f"detector and words have, got {got}"
            )
    load_localizer_weights(localizer, folder / "localizer.safetensors")
    files = description["files"]
    return Bundle(
        detector=detector.model,
        detector_config=detector.config,
        localizer=localizer.eval(),
        localizer_config=config,
        words=words,
        calibration=read_calibration(folder / "calibration.json"),
        severity=read_severity(folder / "severity.json") if "severity.json" in files else None,
        guard=read_guard(folder / GUARD) if GUARD in files else None,
        description=description,
        bundle_id=file_sha256(folder / DESCRIPTION),
    )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises CheckpointError for anything else."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: expected JSON, got {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected a JSON object")
    return content


def _is_file_in(folder: Path, name: str) -> bool:
    """Whether a name from `bundle.json` is a file directly in the folder."""
    try:
        return Path(name).name == name and (folder / name).is_file()
    except OSError:  # a name longer than the file system allows
        return False
