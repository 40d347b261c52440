"""Model bundles: a folder with everything that prediction needs, verified when it is opened."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torchvision.models.detection import RetinaNet

from attributes.vectors import WordVectors, read_word_vectors
from data_manifests.atomic import file_sha256, write_json, write_text
from data_manifests.errors import CheckpointError
from detector.config import DetectorConfig
from detector.model import load_detector
from localize.calibration import Calibration, read_calibration, write_calibration
from localize.config import LocalizerConfig
from localize.model import Localizer, build_localizer, load_localizer_weights
from localize.severity_model import SeverityModel, read_severity, write_severity

FORMAT_VERSION = 1
DESCRIPTION = "bundle.json"
SIZES = ("feature_width", "word_width", "keywords")


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: networks in evaluation mode on the CPU, words, calibration.

    `severity` is None where the bundle has no severity model. `bundle_id` is the SHA-256 of
    `bundle.json`, which names the checksum of every other file.
    """

    detector: RetinaNet
    detector_config: DetectorConfig
    localizer: Localizer
    localizer_config: LocalizerConfig
    words: WordVectors
    calibration: Calibration
    severity: SeverityModel | None
    description: Mapping[str, Any]  # Any: whatever JSON holds
    bundle_id: str


def write_bundle(
    out: Path,
    *,
    detector_run: Path,
    localizer_run: Path,
    words_folder: Path,
    lexicon: Path,
    calibration: Calibration,
    severity: SeverityModel | None,
    training_data: str,
    model_card: str,
) -> Path:
    """Collect the files of two trainings into a bundle folder; returns it.

    The folder is built under another name and renamed: a kill leaves no half bundle.

    Raises:
        CheckpointError: a part is missing, or `out` exists.
    """
    if out.exists():
        raise CheckpointError(f"{out}: expected no such folder yet; choose another --out")
    building = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        parts = [
            *sorted(detector_run.glob("detector*.safetensors")),
            detector_run / "detector.json",
            localizer_run / "localizer.safetensors",
            localizer_run / "localizer.json",
            words_folder / "word_vectors.safetensors",
            words_folder / "vectors.json",
        ]
        for part in parts:
            if not part.is_file():
                raise CheckpointError(f"{part}: expected a file of a finished run, got none")
            shutil.copyfile(part, building / part.name)
        shutil.copyfile(lexicon, building / "lexicon.yaml")
        write_calibration(calibration, building / "calibration.json")
        if severity is not None:
            write_severity(severity, building / "severity.json")
        write_text(building / "MODEL_CARD.md", model_card)
        files = {path.name: file_sha256(path) for path in sorted(building.iterdir())}
        write_json(
            building / DESCRIPTION,
            {
                "format_version": FORMAT_VERSION,
                "training_data": training_data,
                "detector": read_json(building / "detector.json"),
                "localizer": read_json(building / "localizer.json"),
                "files": files,
            },
        )
        building.rename(out)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return out


def verify_bundle(folder: Path) -> dict[str, Any]:
    """Check the checksum of every file; returns `bundle.json`.

    Raises:
        CheckpointError: not a bundle, another version, or a file that is missing, changed or not
            named in it.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise CheckpointError(f"{folder}: expected a model bundle, got no {DESCRIPTION}")
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
        if Path(name).name != name or not (folder / name).is_file():
            raise CheckpointError(f"{folder / name}: named in {DESCRIPTION}, but no such file")
        if file_sha256(folder / name) != checksum:
            raise CheckpointError(
                f"{folder / name}: its SHA-256 is not the one in {DESCRIPTION}; the file was "
                "changed or damaged: get the bundle again"
            )
    for needed in ("detector.json", "localizer.json", "localizer.safetensors", "calibration.json"):
        if needed not in files:
            raise CheckpointError(f"{path}: expected {needed} among its files")
    return description


def load_bundle(folder: Path) -> Bundle:
    """Verify a bundle and load it; nothing in it can run code.

    Raises:
        CheckpointError: see `verify_bundle`; or weights that do not fit their configuration.
    """
    description = verify_bundle(folder)
    detector, detector_config, _ = load_detector(folder)
    content = read_json(folder / "localizer.json")
    try:
        config = LocalizerConfig(**content["localizer"])
        sizes = {name: int(content["sizes"][name]) for name in SIZES}
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{folder / 'localizer.json'}: expected a localizer's configuration, got {error}"
        ) from error
    localizer = build_localizer(config, **sizes)
    load_localizer_weights(localizer, folder / "localizer.safetensors")
    has_severity = "severity.json" in description["files"]
    return Bundle(
        detector=detector.eval(),
        detector_config=detector_config,
        localizer=localizer.eval(),
        localizer_config=config,
        words=read_word_vectors(folder),
        calibration=read_calibration(folder / "calibration.json"),
        severity=read_severity(folder / "severity.json") if has_severity else None,
        description=description,
        bundle_id=file_sha256(folder / DESCRIPTION),
    )


def move_bundle(bundle: Bundle, device: torch.device) -> None:
    """Put both networks on a device."""
    bundle.detector.to(device)
    bundle.localizer.to(device)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; CheckpointError where it is none."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: expected JSON, got {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected a JSON object")
    return content
