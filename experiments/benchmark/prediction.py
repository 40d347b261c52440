"""Prediction: the whole command against the bare forward, its stages, bfloat16, ONNX Runtime."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data_manifests.boxes import iou_matrix
from data_manifests.films.read_film import read_film
from detector.film_stream import StreamedFilm
from detector.network.core import fast_copy, torch_core
from detector.network.onnx_core import NEEDED, onnx_core
from detector.prepare import prepare_film
from detector.proposals import ProposalOptions, best_rois, propose_rois
from experiments.benchmark.films import benchmark_bundle, phantom_films
from experiments.benchmark.rows import BenchmarkRow, alternately, scaled
from experiments.benchmark.sizes import Bench
from localize.bundle.bundle import Bundle, load_bundle
from localize.inference.film_list import FilmToPredict, manifest_films
from localize.inference.film_regions import rank_films
from localize.inference.model import Model
from localize.inference.options import PredictOptions
from localize.inference.predict_films import predict_films
from localize.inference.predict_folder import predict_folder

CPU = torch.device("cpu")
Work = Callable[[], object]


def predict_rows(bench: Bench) -> Iterator[BenchmarkRow]:
    """The command from film files to tables beside torchvision's RetinaNet on the same films."""
    bundle = load_bundle(benchmark_bundle(bench))
    films = manifest_films(phantom_films(bench))
    images = prepared_images(films, bundle.detector_config.image_size)
    options = PredictOptions(batch_size=bench.size.batch)
    batches = [
        images[first : first + options.batch_size]
        for first in range(0, len(images), options.batch_size)
    ]

    def command(model: Model) -> None:
        with tempfile.TemporaryDirectory(dir=bench.work) as folder:
            predict_folder(model, films, Path(folder) / "out")

    rounded = replace(options, precision="bfloat16")
    exact_model, rounded_model = Model(bundle, options), Model(bundle, rounded)
    stages = _stages(bundle, films, batches)
    ours, bare, ours_rounded, *parts = alternately(
        [
            lambda: command(exact_model),
            lambda: bare_forward(bundle, batches),
            lambda: command(rounded_model),
            *stages.values(),
        ],
        bench.runs,
    )
    settings = bundle.detector_config
    sizes = f"{settings.backbone}, {settings.image_size} px, batch {options.batch_size}"
    per_film = 1e3 / len(films)
    row = BenchmarkRow(
        name="predict_vs_forward",
        group="predict",
        what=f"`predict`, film files to tables, bundle loaded before; {len(films)} films, {sizes}",
        ours=ours,
        baseline=bare,
        baseline_is="torchvision's RetinaNet forward on the same films, read and resized before",
        goal="<= 1.10",
        unit="ms/film",
        runs=bench.runs,
        detail={"threads": torch.get_num_threads(), "film_px": bench.size.film_px},
    )
    yield scaled(row, per_film)
    row = BenchmarkRow(
        name="predict_bfloat16_vs_float32",
        group="predict",
        what="`predict --precision bfloat16`",
        ours=ours_rounded,
        baseline=ours,
        baseline_is="`predict` in float32",
        ratio_is="baseline / ours",
        unit="ms/film",
        runs=bench.runs,
        detail=_moved(bundle, films, options, rounded),
    )
    yield scaled(row, per_film)
    for name, seconds in zip(stages, parts, strict=True):
        row = BenchmarkRow(
            name=f"predict_stage_{name}",
            group="predict",
            what=STAGES[name],
            ours=seconds,
            unit="ms/film",
            runs=bench.runs,
            detail={"share_of_command": seconds / ours},
        )
        yield scaled(row, per_film)


def onnx_rows(bench: Bench) -> Iterator[BenchmarkRow]:
    """The convolutions in ONNX Runtime beside PyTorch; nothing where the extra is not installed."""
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        return
    bundle = load_bundle(benchmark_bundle(bench))
    films = manifest_films(phantom_films(bench))[: bench.size.batch]
    images = prepared_images(films, bundle.detector_config.image_size)
    options = PredictOptions(batch_size=bench.size.batch)
    onnx, torch_ = onnx_core(bundle.detector), torch_core(bundle.detector)
    proposals = ProposalOptions()
    ours, torch_seconds = alternately(
        [
            lambda: propose_rois(bundle.detector, images, proposals, onnx),
            lambda: propose_rois(bundle.detector, images, proposals, torch_),
        ],
        bench.runs,
    )
    row = BenchmarkRow(
        name="onnx_vs_torch",
        group="onnx",
        what=f"prepared films to regions, convolutions in ONNX Runtime, {len(films)} films",
        ours=ours,
        baseline=torch_seconds,
        baseline_is="the same in PyTorch as `predict` runs it, float32",
        ratio_is="baseline / ours",
        goal=">= 1.00",
        unit="ms/film",
        runs=bench.runs,
        detail=_moved(bundle, films, options, replace(options, engine="onnx")),
    )
    yield scaled(row, 1e3 / len(films))


STAGES = {
    "read": "of that: reading and resizing, on threads beside the network",
    "convolutions": "of that: backbone, pyramid and heads",
    "body": "of the convolutions: the backbone's body",
    "pyramid": "of the convolutions: the feature pyramid",
    "heads": "of the convolutions: towers and last layers of both heads",
    "regions": "of that: convolutions, and regions with their features",
    "attention": "of that: region weights, attributes, suppression",
}


def _stages(
    bundle: Bundle, films: list[FilmToPredict], batches: list[list[Tensor]]
) -> dict[str, Work]:
    """What the command does, one part at a time, on all films."""
    size = bundle.detector_config.image_size
    options = ProposalOptions()
    pixels = [
        bundle.detector.transform(batch)[0].tensors.contiguous(memory_format=torch.channels_last)
        for batch in batches
    ]
    blank = torch.zeros(3, size, size)
    core, fast = torch_core(bundle.detector), fast_copy(bundle.detector)
    rois = [best_rois(bundle.detector, batch, options) for batch in batches]

    @torch.inference_mode()
    def convolutions() -> None:
        for batch in pixels:
            core(batch)

    with torch.inference_mode():
        bodies = [fast.backbone.body(batch) for batch in pixels]
        pyramids = [fast.backbone.fpn(levels) for levels in bodies]

    @torch.inference_mode()
    def body() -> None:
        for batch in pixels:
            fast.backbone.body(batch)

    @torch.inference_mode()
    def pyramid() -> None:
        for levels in bodies:
            fast.backbone.fpn(levels)

    @torch.inference_mode()
    def heads() -> None:
        for levels in pyramids:
            fast.head(list(levels.values()))

    def regions() -> None:
        for batch in batches:
            best_rois(bundle.detector, batch, options, core)

    def attention() -> None:
        for found in rois:
            square = [StreamedFilm(0, blank, size, size, 1.0, 1.0, None)] * len(found)
            rank_films(bundle.localizer, found, square, bundle.localizer_config, limit=10)

    return {
        "read": lambda: prepared_images(films, size),
        "convolutions": convolutions,
        "body": body,
        "pyramid": pyramid,
        "heads": heads,
        "regions": regions,
        "attention": attention,
    }


def prepared_images(films: list[FilmToPredict], image_size: int) -> list[Tensor]:
    """Films in the model's frame, (3, h, w) each."""
    return [
        torch.from_numpy(prepare_film(read_film(film.file).pixels, image_size).pixels).expand(
            3, -1, -1
        )
        for film in films
    ]


@torch.inference_mode()
def bare_forward(bundle: Bundle, batches: list[list[Tensor]]) -> list[dict[str, Tensor]]:
    """torchvision's own forward: detections of all films."""
    return [found for batch in batches for found in bundle.detector(batch)]


def _moved(
    bundle: Bundle, films: list[FilmToPredict], exact: PredictOptions, other: PredictOptions
) -> dict[str, float | str]:
    """How far each box of `exact` is from its nearest among those of `other`."""
    one, two = (predict_films(bundle, films, options, CPU) for options in (exact, other))
    columns = ["x1", "y1", "x2", "y2"]
    changed = {name: boxes for name, boxes in two.boxes.groupby("image_id")}
    overlaps, moved, alphas = [], [], []
    for name, boxes in one.boxes.groupby("image_id"):
        if name not in changed:
            continue
        corners = [table[columns].to_numpy(np.float64) for table in (boxes, changed[name])]
        iou = iou_matrix(*corners)
        nearest = iou.argmax(axis=1)
        overlaps.append(iou.max(axis=1))
        moved.append(np.abs(corners[0] - corners[1][nearest]).max(axis=1))
        alphas.append(np.abs(boxes["alpha"] - changed[name]["alpha"].to_numpy()[nearest]))
    if not overlaps:
        return {}
    overlap, move = np.concatenate(overlaps), np.concatenate(moved)
    return {
        "boxes_found_again_at_iou_0.9": float((overlap >= 0.9).mean()),
        "their_median_corner_moved_px": float(np.median(move[overlap >= 0.9])),
        "largest_corner_moved_px": float(move.max()),
        "largest_alpha_change": float(np.concatenate(alphas).max()),
    }
