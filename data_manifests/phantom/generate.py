"""A folder of phantom films with its manifest: `build_phantom`."""

from __future__ import annotations

import hashlib
import io
import logging
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import pandas as pd
from PIL import Image
from threadpoolctl import threadpool_limits

from data_manifests.phantom.case import Case, PhantomOptions, make_case, split_number
from data_manifests.phantom.exposure import GreyLevels
from data_manifests.phantom.truth import KEYWORDS
from data_manifests.support.atomic import write_bytes
from data_manifests.support.errors import ConfigError
from data_manifests.support.one_thread import one_thread
from data_manifests.support.progress_bar import progress_bar
from data_manifests.support.worker_pool import worker_pool
from data_manifests.tables.columns import BOX_COLUMNS, BOX_LABEL, IMAGE_COLUMNS, REPORT_COLUMNS
from data_manifests.tables.manifest import Manifest, ManifestInfo, make_manifest, write_manifest

GENERATOR_VERSION = 1  # raise it when the same seed gives other films
LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitShares:
    """Shares of the patients in each split; the rest is for training."""

    val: float = 0.1
    test: float = 0.2

    def __post_init__(self) -> None:
        if min(self.val, self.test) < 0.0 or self.val + self.test > 1.0:
            raise ConfigError(
                f"phantom split: shares must be positive and sum to 1 at most, got {self}"
            )

    def name(self, number: float) -> str:
        """The split of a patient whose number in [0, 1) is given."""
        if number < self.test:
            return "test"
        return "val" if number < self.test + self.val else "train"


def image_name(options: PhantomOptions, index: int) -> str:
    """The image id of film `index`; unique over hospitals and seeds, so manifests may be joined."""
    return f"ph{options.domain}-s{options.seed}-{index:06d}"


def build_phantom(
    out: Path,
    options: PhantomOptions | None = None,
    *,
    films: int = 200,
    start: int = 0,
    workers: int = 1,
    shares: SplitShares | None = None,
) -> Manifest:
    """Write `films` PNG films and their manifest into the folder `out`; return the manifest.

    Films `start` to `start + films - 1` of the endless series of `options` are made; each is the
    same whatever the others and the number of worker processes are. Tables: `boxes.csv` with
    label "opacity"; `reports.csv`; `labels.csv` with pneumonia, severity (0-8), the shares, finding
    flags, `kw_<keyword>` (true of the film) and `said_<keyword>` (stated by the report).

    Raises:
        ConfigError: not even one film, or no worker.
    """
    options = options or PhantomOptions()
    if films < 1 or start < 0 or workers < 1:
        raise ConfigError(
            "phantom: expected films >= 1, start >= 0 and workers >= 1, "
            f"got {films}, {start} and {workers}"
        )
    out.mkdir(parents=True, exist_ok=True)
    rows = list(_rows(out, options, shares or SplitShares(), range(start, start + films), workers))
    manifest = make_manifest(
        pd.DataFrame([row.image for row in rows], columns=[*IMAGE_COLUMNS]),
        pd.DataFrame([box for row in rows for box in row.boxes], columns=[*BOX_COLUMNS]),
        pd.DataFrame([part for row in rows for part in row.reports], columns=[*REPORT_COLUMNS]),
        pd.DataFrame([row.labels for row in rows]),
        info=ManifestInfo(
            builder="phantom",
            image_root=".",
            options={
                **asdict(options),
                "films": films,
                "start": start,
                "generator_version": GENERATOR_VERSION,
            },
        ),
        root=out,
    )
    write_manifest(manifest, out)
    LOGGER.info("phantom: %d films, %d boxes in %s", len(rows), len(manifest.boxes), out)
    return manifest


@dataclass(frozen=True)
class _FilmRows:
    """One film's rows of the four tables."""

    image: tuple[str | int, ...]
    boxes: list[tuple[str | float, ...]]
    reports: list[tuple[str, ...]]
    labels: dict[str, str | int | float]


def _rows(
    out: Path, options: PhantomOptions, shares: SplitShares, indices: range, workers: int
) -> Iterator[_FilmRows]:
    make = partial(_make_film, out, options, shares)
    bar = partial(progress_bar, total=len(indices), desc="phantom films", unit="film", delay=2.0)
    if workers == 1:
        with threadpool_limits(1):  # numpy's threads take longer than its small matrices
            yield from bar(map(make, indices))
        return
    with worker_pool(min(workers, len(indices)), one_thread) as pool:
        yield from bar(pool.map(make, indices, chunksize=8))


def _make_film(out: Path, options: PhantomOptions, shares: SplitShares, index: int) -> _FilmRows:
    """Make, store and describe one film."""
    case = make_case(options, index)
    image_id = image_name(options, index)
    path = f"films/{image_id}.png"
    content = encode_png(case.pixels)
    write_bytes(out / path, content)
    patient_id = f"ph{options.domain}-s{options.seed}-p{case.plan.patient:06d}"
    study_id = f"{image_id}-study"
    split = shares.name(split_number(options, case.plan.patient))
    values: dict[str, str | int] = {
        "image_id": image_id,
        "patient_id": patient_id,
        "study_id": study_id,
        "path": path,
        "view": "PA",
        "width": options.size,
        "height": options.size,
        "split": split,
        "source": f"phantom-{options.domain}",
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    boxes: list[tuple[str | float, ...]] = [
        (image_id, *(round(float(edge), 2) for edge in box), BOX_LABEL, "phantom")
        for box in case.opacity.boxes
    ]
    reports: list[tuple[str, ...]] = [
        (study_id, section.name, section.text) for section in case.report.sections
    ]
    return _FilmRows(
        image=tuple(values[name] for name in IMAGE_COLUMNS),
        boxes=boxes,
        reports=reports,
        labels=_labels(image_id, options, case),
    )


def encode_png(pixels: GreyLevels) -> bytes:
    """Grey pixels (H, W) as PNG."""
    buffer = io.BytesIO()
    # Noise has no repeats to search for: run lengths alone are faster and smaller here.
    Image.fromarray(pixels).save(buffer, format="PNG", compress_type=zlib.Z_RLE)
    return buffer.getvalue()


def _labels(image_id: str, options: PhantomOptions, case: Case) -> dict[str, str | int | float]:
    truth, plan = case.truth, case.plan
    labels: dict[str, str | int | float] = {
        "image_id": image_id,
        "pneumonia": int(truth.has_opacity),
        "severity": truth.severity,
        "share_right": round(truth.share_right, 5),
        "share_left": round(truth.share_left, 5),
        "burden": round(truth.burden, 5),
        "extent": truth.extent,
        "texture": truth.texture,
        "sex": plan.anatomy.sex,
        "age": plan.anatomy.age_years,
        "domain": options.domain,
        "shift": options.shift,
        "has_effusion": int(plan.distractors.effusion_side is not None),
        "has_nodule": int(plan.distractors.nodule_side is not None),
        "has_atelectasis": int(plan.distractors.atelectasis_side is not None),
        "has_cardiomegaly": int(plan.distractors.has_cardiomegaly),
        "has_congestion": int(plan.distractors.has_congestion),
        "has_device": int(bool(plan.distractors.devices)),
        "is_rotated": int(plan.is_rotated),
        "is_clipped": int(plan.is_clipped),
    }
    labels |= {f"kw_{word}": int(word in truth.keywords) for word in KEYWORDS}
    labels |= {f"said_{word}": int(word in case.report.mentioned) for word in KEYWORDS}
    return labels
