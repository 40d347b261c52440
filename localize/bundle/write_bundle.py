"""`write_bundle`: the files of finished trainings as one bundle folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from data_manifests.support.atomic import file_sha256, lock_folder, write_json, write_text
from data_manifests.support.errors import CheckpointError
from localize.bundle.bundle import DESCRIPTION, FORMAT_VERSION, read_json
from localize.bundle.calibration import Calibration, write_calibration
from localize.bundle.keyword_evidence import KeywordEvidence, evidence_json
from localize.severity.model import SeverityModel, write_severity


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
    evidence: Mapping[str, KeywordEvidence] | None = None,
    more: Callable[[Path], None] | None = None,
) -> Path:
    """Collect the files of two trainings into the bundle folder `out`; returns it.

    The folder is built under another name and renamed: a kill leaves no half bundle.

    Args:
        out: a new folder.
        detector_run, localizer_run, words_folder, lexicon: the parts, as training leaves them.
        calibration, severity: as fitted; a bundle may lack `severity`.
        training_data: a sentence for `bundle.json` and the model card.
        model_card: Markdown text.
        half_precision: store the weights as float16, half the size.
        evidence: for each keyword; None states nothing, and all keywords are shown.
        more: called with the folder, to write a film guard and a golden prediction into it.

    Raises:
        CheckpointError: a part is missing, or `out` exists.
        DataError: another process writes the same bundle.
        OSError: the disk is full; nothing is left.
    """
    if out.exists():
        raise CheckpointError(f"{out}: expected no such folder yet; choose another --out")
    building = out.with_name(f".{out.name}.tmp")
    lock = lock_folder(building, "another command is writing this bundle; choose another --out")
    try:
        if out.exists():  # another command ended meanwhile
            raise CheckpointError(f"{out}: expected no such folder yet; choose another --out")
        for left in building.iterdir():  # by a command that was killed
            if left.name != ".lock":
                left.unlink()
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
        (building / ".lock").unlink()
        files = {path.name: file_sha256(path) for path in sorted(building.iterdir())}
        write_json(
            building / DESCRIPTION,
            {
                "format_version": FORMAT_VERSION,
                "training_data": training_data,
                "detector": read_json(building / "detector.json"),
                "localizer": read_json(building / "localizer.json"),
                **({} if evidence is None else {"evidence": evidence_json(evidence)}),
                "files": files,
            },
        )
        building.rename(out)
    finally:
        shutil.rmtree(building, ignore_errors=True)
        lock.close()
    return out


def _copy_halved(source: Path, target: Path) -> None:
    """Copy a safetensors file with its floating-point tensors as float16; none may overflow."""
    tensors = load_file(source)
    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            halved = tensor.half()
            if not torch.isfinite(halved).all():
                raise CheckpointError(f"{source}, tensor {name}: too large for float16")
            tensors[name] = halved
    try:
        save_file(tensors, target)
    except SafetensorError as error:  # how the library tells of a full disk
        raise OSError(f"{target}: could not be written (disk full?): {error}") from error
