"""Model bundles: a folder with everything that prediction needs, verified when it is opened."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torchvision.models.detection import RetinaNet

from attributes.vectors.word_vectors import WordVectors, read_word_vectors
from data_manifests.support.atomic import file_sha256, write_json, write_text
from data_manifests.support.errors import CheckpointError
from detector.config import DetectorConfig
from detector.core import Core
from detector.detector import load_detector
from localize.bundle.calibration import Calibration, read_calibration, write_calibration
from localize.bundle.film_guard import FilmGuard, read_guard
from localize.network.config import LocalizerConfig
from localize.network.localizer import Localizer, build_localizer, load_localizer_weights
from localize.severity.model import SeverityModel, read_severity, write_severity

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
    """An opened bundle: networks in evaluation mode on the CPU, words, calibration.

    `severity` and `guard` are None where the bundle has none. `bundle_id` is the SHA-256 of
    `bundle.json`, which names the checksum of every other file. `cores` keeps what prediction made
    of the detector, by engine, precision and device; its weights do not change any more.
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
    cores: dict[tuple[str, str, str], Core] = field(init=False, repr=False, default_factory=dict)


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
    half_precision: bool = False,
    more: Callable[[Path], None] | None = None,
) -> Path:
    """Collect the files of two trainings into a bundle folder; returns it.

    `half_precision` stores the weights as float16, half the size. `more` writes further files of
    the bundle (film guard, golden prediction) into the folder that it is given. The folder is built
    under another name and renamed: a kill leaves no half bundle.

    Raises:
        CheckpointError: a part is missing, or `out` exists.
    """
    if out.exists():
        raise CheckpointError(f"{out}: expected no such folder yet; choose another --out")
    building = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        if not lexicon.is_file():
            raise CheckpointError(f"{lexicon}: expected the lexicon of the words, got no file")
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
            is_network = part.name.startswith(("detector", "localizer"))
            if half_precision and is_network and part.suffix == ".safetensors":
                _copy_halved(part, building / part.name)
            else:
                shutil.copyfile(part, building / part.name)
        shutil.copyfile(lexicon, building / "lexicon.yaml")
        write_calibration(calibration, building / "calibration.json")
        if severity is not None:
            write_severity(severity, building / "severity.json")
        write_text(building / "MODEL_CARD.md", model_card)
        if more is not None:
            more(building)
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
                f"{folder}: {name[:200]!r} is named in {DESCRIPTION}, but no file"
            )
        if file_sha256(folder / name) != checksum:
            raise CheckpointError(
                f"{folder / name}: its SHA-256 is not the one in {DESCRIPTION}; the file was "
                "changed or damaged: get the bundle again"
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


def move_bundle(bundle: Bundle, device: torch.device) -> None:
    """Put both networks on a device."""
    bundle.detector.to(device)
    bundle.localizer.to(device)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; CheckpointError where it is none."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: expected JSON, got {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected a JSON object")
    return content


def _copy_halved(source: Path, target: Path) -> None:
    """Copy a safetensors file with its floating-point tensors as float16; none may overflow."""
    tensors = load_file(source)
    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            halved = tensor.half()
            if not torch.isfinite(halved).all():
                raise CheckpointError(f"{source}, tensor {name}: too large for float16")
            tensors[name] = halved
    save_file(tensors, target)


def _is_file_in(folder: Path, name: str) -> bool:
    """Whether a name from `bundle.json` is a file directly in the folder."""
    try:
        return Path(name).name == name and (folder / name).is_file()
    except OSError:  # a name longer than the file system allows
        return False
