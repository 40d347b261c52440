"""`predict_films`: films alone in, ranked and calibrated boxes, attributes and severity out.

`predicted_blocks` gives the same in blocks of a few films, for writers that keep memory flat.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from data_manifests.support.errors import ConfigError, DataError, Problem
from data_manifests.support.progress_bar import progress_bar
from data_manifests.tables.manifest import Manifest
from detector.core import Core, Precision, torch_core
from detector.film_stream import StreamedFilm, batches_of_one_size, stream_films
from detector.proposals import ProposalOptions, best_rois
from detector.run.device import warn_of_slow_bfloat16
from detector.run.provenance import provenance
from localize.bundle.bundle import Bundle, move_bundle
from localize.prediction.film_regions import FilmRegions, Ranking, film_regions, regions_of_films
from localize.prediction.tables import BOX_COLUMNS, IMAGE_COLUMNS, OPTIONAL_COLUMNS, Prediction
from localize.severity.interval import INFO_KEY as SEVERITY_KEY
from localize.severity.model import SeverityModel, severity_features

Engine = Literal["torch", "onnx", "ray"]
LABEL = "opacity"
READ_THREADS = 2
MIN_ATTRIBUTE = 0.5  # probability from which a box carries a keyword
SEVERITY_BOXES = 10  # a film's severity rests on these, whatever boxes the user asks to see
MIN_SIDE_PX = 0.5  # a box thinner than this in film pixels cannot be drawn


@dataclass(frozen=True)
class FilmToPredict:
    """One film: its id in the output, its file, and the path to show."""

    image_id: str
    file: Path
    path: str


@dataclass(frozen=True)
class PredictOptions:
    """How films are predicted.

    `max_boxes` per film after suppression; `min_score` cuts boxes; `skip_errors` goes on after an
    unreadable film and lists it, else the first one stops the run. `ranking` by the `detector`
    gives RetinaNet alone, the baseline; box scores are then the detector's own, and there is no
    severity, which is fitted on the localizer's. `engine` runs the detector's convolutions (`ray`:
    torch, in processes of a cluster); `bfloat16` rounds them.
    """

    max_boxes: int = 10
    min_score: float = 0.0
    skip_errors: bool = False
    ranking: Ranking = "localizer"
    batch_size: int = 8
    proposals: ProposalOptions = field(default_factory=ProposalOptions)
    engine: Engine = "torch"
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        for name in ("max_boxes", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not 0 <= self.min_score <= 1:
            raise ConfigError(f"min_score: expected 0 to 1, got {self.min_score}")
        for name, kinds in (("engine", get_args(Engine)), ("precision", get_args(Precision))):
            if getattr(self, name) not in kinds:
                raise ConfigError(
                    f"{name}: expected {' or '.join(kinds)}, got {getattr(self, name)!r}"
                )
        if self.engine == "onnx" and self.precision != "float32":
            raise ConfigError("precision: expected float32 with --engine onnx")


@dataclass(frozen=True)
class PredictedBlock:
    """Rows of a few films, in the columns of `Prediction`; the numbers are those to be written."""

    images: list[dict[str, Any]]  # Any: text and numbers
    boxes: list[dict[str, Any]]
    attributes: list[list[Any]]

    @property
    def skipped(self) -> list[dict[str, Any]]:
        """The rows of films that could not be read."""
        return [row for row in self.images if row["status"] == "skipped"]


def predict_films(
    bundle: Bundle, films: Sequence[FilmToPredict], options: PredictOptions, device: torch.device
) -> Prediction:
    """Predict films, in order, in memory. No text is read.

    Raises:
        DataError: a film cannot be read and `skip_errors` is false, or none can be read.
    """
    every = PredictedBlock([], [], [])
    with progress_bar(total=len(films), desc="predict", unit="film") as bar:
        for block in predicted_blocks(bundle, films, options, device):
            every.images.extend(block.images)
            every.boxes.extend(block.boxes)
            every.attributes.extend(block.attributes)
            bar.update(len(block.images))
    failed = every.skipped
    if failed and len(failed) == len(films):
        raise DataError(f"none of {len(films)} films can be read; the first: {failed[0]['error']}")
    return as_prediction(every, bundle.words.keywords, prediction_info(bundle, options))


def predicted_blocks(
    bundle: Bundle, films: Sequence[FilmToPredict], options: PredictOptions, device: torch.device
) -> Iterator[PredictedBlock]:
    """Blocks of `batch_size` films, in order; films are read ahead of the block that is computed.

    Raises:
        DataError: a film cannot be read and `skip_errors` is false.
    """
    enough = replace(options, max_boxes=max(options.max_boxes, SEVERITY_BOXES))
    results = film_results(bundle, [film.file for film in films], enough, device)
    while part := list(islice(results, options.batch_size)):
        yield _block(bundle, films, part, options)


def _block(
    bundle: Bundle,
    films: Sequence[FilmToPredict],
    results: Sequence[tuple[StreamedFilm, FilmRegions | None]],
    options: PredictOptions,
) -> PredictedBlock:
    block = PredictedBlock([], [], [])
    severity_boxes: list[dict[str, Any]] = []
    for streamed, found in results:
        film = films[streamed.row]
        row: dict[str, Any] = dict.fromkeys(IMAGE_COLUMNS)
        row |= {"image_id": film.image_id, "path": film.path, "error": ""}
        row |= dict.fromkeys(OPTIONAL_COLUMNS, "")
        block.images.append(row)
        if found is None or streamed.error is not None:
            row |= {"status": "skipped", "error": str(streamed.error)}
            block.attributes.append([film.image_id, *[None] * len(bundle.words.keywords)])
            continue
        ranked = found.ranked
        probability = bundle.calibration.film_probability(ranked.film_sum, ranked.film_max)
        row |= {
            "width": streamed.width,
            "height": streamed.height,
            "p_pneumonia": probability,
            "opacity": bundle.calibration.opacity(probability),
            "status": "ok",
        }
        if bundle.guard is not None and streamed.image is not None:
            row["warning"] = bundle.guard.warning(streamed.image[0].numpy())
        block.attributes.append([film.image_id, *found.attributes.round(6).tolist()])
        rows = _box_rows(film.image_id, found, bundle, options.ranking)
        severity_boxes += rows[:SEVERITY_BOXES]
        block.boxes.extend(
            row for row in rows[: options.max_boxes] if row["score"] >= options.min_score
        )
    if bundle.severity is not None and options.ranking != "detector":
        judged = replace(block, boxes=severity_boxes)
        _fill_severity(as_prediction(judged, bundle.words.keywords, {}), bundle.severity, block)
    return block


def as_prediction(
    block: PredictedBlock, keywords: Sequence[str], info: Mapping[str, Any]
) -> Prediction:
    """Rows as the tables of a prediction."""
    return Prediction(
        images=pd.DataFrame(block.images, columns=list(IMAGE_COLUMNS)),
        boxes=pd.DataFrame(block.boxes, columns=list(BOX_COLUMNS)),
        attributes=pd.DataFrame(block.attributes, columns=["image_id", *keywords]),
        info=info,
    )


def prediction_info(bundle: Bundle, options: PredictOptions) -> dict[str, Any]:
    """What `prediction.json` says of how a prediction was made."""
    info: dict[str, Any] = {
        "bundle_id": bundle.bundle_id,
        "files": dict(bundle.description["files"]),
        "options": {
            "max_boxes": options.max_boxes,
            "min_score": options.min_score,
            "ranking": options.ranking,
            "regions": options.proposals.count,
            "rank_by": bundle.localizer_config.rank_by,
            "nms_iou": bundle.localizer_config.nms_iou,
            "engine": options.engine,
            "precision": options.precision,
        },
        "provenance": provenance(),
    }
    if bundle.severity is not None and options.ranking != "detector":
        model = bundle.severity  # what `severity_range` reads
        info[SEVERITY_KEY] = {"low": model.low, "high": model.high, "residual": model.residual}
    return info


def film_results(
    bundle: Bundle, files: Sequence[Path], options: PredictOptions, device: torch.device
) -> Iterator[tuple[StreamedFilm, FilmRegions | None]]:
    """Each film with its regions, or None where it cannot be read (and `skip_errors` is set).

    Raises:
        DataError: a film cannot be read and `skip_errors` is false.
    """
    move_bundle(bundle, device)
    kind = options.engine, options.precision, str(device)
    if kind not in bundle.cores:
        if options.precision == "bfloat16":
            warn_of_slow_bfloat16(device)
        bundle.cores[kind] = _core(bundle, options)
    core = bundle.cores[kind]
    stream = stream_films(
        files,
        range(len(files)),
        image_size=bundle.detector_config.image_size,
        threads=READ_THREADS,
        ahead=2 * options.batch_size,
    )
    for batch in batches_of_one_size(stream, options.batch_size):
        if batch[0].error is not None:
            if not options.skip_errors:
                raise _named(batch[0].error, files[batch[0].row])
            yield batch[0], None
            continue
        tensors = [film.image.to(device) for film in batch if film.image is not None]
        rois = best_rois(bundle.detector, tensors, options.proposals, core)
        # Geometry is a share of the film in either frame, so the model's frame will do.
        frames = [(tensor.shape[2], tensor.shape[1]) for tensor in tensors]
        regions = regions_of_films(rois, frames, device)
        film_boxes = [_to_film(one.boxes, film) for one, film in zip(rois, batch, strict=True)]
        found = film_regions(
            bundle.localizer,
            regions,
            film_boxes,
            bundle.localizer_config,
            ranking=options.ranking,
            limit=options.max_boxes,
        )
        yield from zip(batch, found, strict=True)


def _named(error: DataError, file: Path) -> DataError:
    """The problems of one film with its whole path, and the way round them."""
    fix = "--on-error skip leaves it out"
    return DataError.from_problems(
        [replace(one, file=str(file), fix=one.fix or fix) for one in error.problems]
    )


def _core(bundle: Bundle, options: PredictOptions) -> Core:
    if options.engine == "onnx":
        from detector.onnx_core import onnx_core  # an extra: imported where it is asked for

        return onnx_core(bundle.detector)
    return torch_core(bundle.detector, options.precision)


def choose_ranking(name: str) -> Ranking:
    """A ranking by its name on the command line. Raises ConfigError for another word."""
    rankings: dict[str, Ranking] = {"localizer": "localizer", "detector": "detector"}
    if name not in rankings:
        raise ConfigError(f"--ranking: expected localizer or detector, got {name!r}")
    return rankings[name]


def manifest_films(manifest: Manifest) -> list[FilmToPredict]:
    """The films of a manifest, under their own ids."""
    return [
        FilmToPredict(image_id=image_id, file=file, path=path)
        for image_id, file, path in zip(
            manifest.images["image_id"],
            manifest.film_paths(),
            manifest.images["path"],
            strict=True,
        )
    ]


def film_list(inputs: Sequence[Path], suffixes: tuple[str, ...]) -> list[FilmToPredict]:
    """Films named on the command line: files as they are, folders with all films below them.

    The id is the file's name without its extension; where two films would share one, the path below
    the folder tells them apart.

    Raises:
        DataError: a path does not exist, a folder has no film, or two films keep the same id.
    """
    found: list[tuple[Path, str]] = []
    problems = []
    for given in inputs:
        if given.is_dir():
            below = sorted(
                path
                for path in given.rglob("*")
                if path.is_file() and path.suffix.lower() in suffixes
            )
            found += [(path, path.relative_to(given).as_posix()) for path in below]
            if not below:
                problems.append(
                    Problem(str(given), expected=f"films ({', '.join(suffixes)})", got="none")
                )
        elif given.is_file():
            found.append((given, given.name))
        else:
            problems.append(Problem(str(given), expected="a film or a folder", got="no such path"))
    if problems:
        raise DataError.from_problems(problems)
    stems = pd.Series([Path(shown).stem for _, shown in found], dtype="str")
    is_shared = stems.duplicated(keep=False)
    films = [
        FilmToPredict(
            image_id=str(Path(shown).with_suffix("")) if shared else stem,
            file=path,
            path=shown,
        )
        for (path, shown), stem, shared in zip(found, stems, is_shared, strict=True)
    ]
    ids = pd.Series([film.image_id for film in films], dtype="str")
    if ids.duplicated().any():
        twice = str(ids[ids.duplicated()].iloc[0])
        raise DataError(
            f"two films would have the id {twice!r}: expected different names; rename one, or "
            "predict the folders one by one"
        )
    return films


def _to_film(boxes: Tensor, film: StreamedFilm) -> Tensor:
    """Boxes of the model's frame in film pixels, inside the film."""
    scale = boxes.new_tensor([film.scale_x, film.scale_y] * 2)
    limits = boxes.new_tensor([film.width, film.height] * 2)
    return torch.minimum(boxes / scale, limits)


def _box_rows(
    image_id: str, found: FilmRegions, bundle: Bundle, ranking: Ranking
) -> list[dict[str, Any]]:
    """Rows of `boxes.csv`, best first."""
    ranked = found.ranked
    if ranking == "detector":
        scores = found.detector_scores
    else:
        scores = bundle.calibration.box_scores(ranked.log_alpha, ranked.film_sum)
    keywords = np.array(bundle.words.keywords)
    rows = []
    for k, (corners, score) in enumerate(zip(ranked.xyxy.round(3), scores, strict=True)):
        x1, y1, x2, y2 = map(float, corners)
        if x2 - x1 < MIN_SIDE_PX or y2 - y1 < MIN_SIDE_PX:
            continue
        named = keywords[found.region_attributes[k] >= MIN_ATTRIBUTE]
        values = (
            image_id,
            x1,
            y1,
            x2,
            y2,
            float(score),
            float(found.alpha[k]),
            float(found.detector_scores[k]),
            LABEL,
            ";".join(named),
        )
        rows.append(dict(zip(BOX_COLUMNS, values, strict=True)))
    return rows


def _fill_severity(judged: Prediction, model: SeverityModel, block: PredictedBlock) -> None:
    """Fill the severity of a block's films from their first boxes."""
    scores = model.scores(severity_features(judged)).round(4)
    for row, score in zip(block.images, scores.tolist(), strict=True):
        row["severity"] = None if math.isnan(score) else score
