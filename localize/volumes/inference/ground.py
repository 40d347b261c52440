"""`ground_report`: where in a volume is each anomaly that its report describes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attributes.anomalies.anomaly import Anomaly, StructuredReport
from data_manifests.volumes.grid import Grid, patient_grid
from data_manifests.volumes.organ_labels import OrganLabels
from data_manifests.volumes.volume import LabelMap, Volume, resample
from localize.volumes.inference.load_grounder import LoadedGrounder
from localize.volumes.inference.patches import chosen_precision, predict_maps
from localize.volumes.network.network_image import network_image
from localize.volumes.network.query import anomaly_query, readable_anomalies


@dataclass(frozen=True)
class Grounding:
    """A report and the maps of its anomalies on the network's grid.

    Args:
        report: the structured report.
        anomalies: those that may have a region: not denied or resolved.
        maps: (Q, X, Y, Z) probabilities in steps of 1/255.
        image: (2, X, Y, Z) what the network saw.
        grid: of `maps` and `image`.
    """

    report: StructuredReport
    anomalies: tuple[Anomaly, ...]
    maps: NDArray[np.uint8]
    image: NDArray[np.uint8]
    grid: Grid

    @property
    def denied(self) -> tuple[Anomaly, ...]:
        """The anomalies without a map: the report denies them, or says that they resolved."""
        return tuple(item for item in self.report.anomalies if item not in self.anomalies)

    def on_grid(self, target: Grid) -> Iterator[NDArray[np.uint8]]:
        """The maps in steps of 1/255 on another grid, one at a time."""
        for steps in self.maps:
            yield resample(steps, self.grid, target, fill=0)


def ground_report(
    grounder: LoadedGrounder,
    volume: Volume,
    anatomy: LabelMap | None,
    labels: OrganLabels,
    text: str,
) -> Grounding:
    """Structure a report and map its anomalies; denied ones have no map.

    `anatomy` is needed where the network was trained with organ labels; see the command.
    """
    network_settings, training = grounder.settings.network, grounder.settings.training
    report = grounder.structurer.structure(text)
    tokens = grounder.vocabulary.tokenize(report)
    anomalies = readable_anomalies(report, tokens)
    image = network_image(volume, anatomy, labels, network_settings.spacing_mm)
    organs = grounder.structurer.lexicon.organs
    device = next(grounder.network.parameters()).device
    maps = predict_maps(
        grounder.network,
        image if network_settings.use_anatomy else image[:1],
        tokens,
        [anomaly_query(anomaly, tokens, organs) for anomaly in anomalies],
        patch=training.patch,
        precision=chosen_precision(training.precision, device),
    )
    grid = patient_grid(volume.grid, network_settings.spacing_mm)
    return Grounding(report, tuple(anomalies), maps, image, grid)
