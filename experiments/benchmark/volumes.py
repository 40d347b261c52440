"""Grounding a report in a whole CT volume: seconds and peak memory, with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from attributes.anomalies.structure_ct import AnomalyStructurer
from data_manifests.volumes.grid import Grid
from data_manifests.volumes.nifti import write_nifti
from data_manifests.volumes.organ_labels import read_organ_labels
from data_manifests.volumes.read_volume import read_anatomy, read_volume
from detector.run.run_state import write_network
from experiments.benchmark.peak import in_process
from experiments.benchmark.rows import BenchmarkRow
from experiments.benchmark.sizes import Bench
from localize.volumes.inference.ground import ground_report
from localize.volumes.inference.load_grounder import WEIGHTS, load_grounder
from localize.volumes.network.config import VolumeSettings
from localize.volumes.network.grounder import build_grounder
from localize.volumes.network.report_tokens import build_vocabulary
from localize.volumes.output.write_grounding import write_grounding

REPORT = (
    "There is a 6 mm nodule in the right upper lobe and a consolidation in the left lower lobe. "
    "Small left pleural effusion. No pneumothorax."
)
SPACING_MM = (0.7, 0.7, 1.0)
LIVER = 5  # of TotalSegmentator's labels
MIB_A_GIB = 1024.0


def volume_rows(bench: Bench) -> Iterator[BenchmarkRow]:
    """`volumes ground` on one volume with organ labels, in a process of its own."""
    volume, anatomy, model = (
        bench.work / name for name in ("ct.nii.gz", "organs.nii.gz", "grounder")
    )
    shape = bench.size.volume_shape
    _write_volume(volume, anatomy, shape)
    _write_model(model, bench.size.volume_settings)
    cost = in_process(partial(ground_files, volume, anatomy, model, bench.work / "grounded"), 1)
    settings = bench.size.volume_settings.network
    what = (
        f"grounding 3 anomalies in {' x '.join(map(str, shape))} voxels of 0.7 x 0.7 x 1 mm, "
        f"network of width {settings.width} at {settings.spacing_mm:g} mm, files written"
    )
    yield BenchmarkRow("volume_ground", "volumes", what, cost.seconds, "s", 1)
    yield BenchmarkRow(
        "volume_ground_peak", "volumes", what, cost.peak_mib / MIB_A_GIB, "GiB", 1,
        baseline=6.0, baseline_is="the memory it may take", goal="<= 1.00",
    )  # fmt: skip


def ground_files(volume: Path, anatomy: Path, model: Path, out: Path) -> None:
    """What `pneumoloc volumes ground` does, on one thread of the CPU."""
    torch.set_num_threads(1)
    read = read_volume(volume)
    grounder = load_grounder(model, torch.device("cpu"))
    organs = read_anatomy(anatomy, read)
    grounding = ground_report(grounder, read, organs, read_organ_labels(None), REPORT)
    write_grounding(grounding, read, out, threshold=0.5)


def _write_volume(volume: Path, anatomy: Path, shape: tuple[int, int, int]) -> None:
    """Noise in air with a block that is labelled liver."""
    grid = Grid(shape, np.diag([*SPACING_MM, 1.0]))
    noise = np.random.default_rng(0).normal(-800, 60, shape[:2]).astype(np.int16)
    hu = np.repeat(noise[:, :, None], shape[2], axis=2)
    block = tuple(slice(count // 3, count // 2) for count in shape)
    hu[block] = 60
    labels = np.zeros(shape, dtype=np.uint8)
    labels[block] = LIVER
    write_nifti(volume, hu, grid)
    write_nifti(anatomy, labels, grid)


def _write_model(folder: Path, settings: VolumeSettings) -> None:
    structurer = AnomalyStructurer()
    vocabulary = build_vocabulary([structurer.structure(REPORT)], min_count=1)
    organs = structurer.lexicon.organs
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_grounder(settings.network, words=len(vocabulary.words), organs=len(organs))
    description = {
        **settings.model_dump(mode="json"),
        "vocabulary": list(vocabulary.words),
        "organs": list(organs),
    }
    write_network(network, folder / WEIGHTS, description)
