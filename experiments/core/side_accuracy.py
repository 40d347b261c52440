"""`side_accuracy`: how often the ROI that answers to "left" lies on the left."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from data_manifests.laterality import SIDES, is_on_side
from data_manifests.support.atomic import write_json
from data_manifests.tables.manifest import Manifest
from experiments.methods.inputs import ExperimentInput, TestSet
from experiments.methods.method import Method
from localize.bundle.bundle import Bundle, load_bundle, read_json
from localize.inference.model import Model
from localize.pipeline.cached import cached

FILE = "side_accuracy.json"
MAX_BOXES = 10  # of each film, as in a prediction


@dataclass(frozen=True)
class SideAccuracy:
    """Films with an opacity, each asked for `left` and `right`: how often the ROI with the highest
    probability of that attribute lies on that side."""

    asked: int
    correct: int

    def __add__(self, other: SideAccuracy) -> SideAccuracy:
        return SideAccuracy(self.asked + other.asked, self.correct + other.correct)

    @property
    def share(self) -> float | None:
        """Share of correct answers; None where nothing was asked."""
        return self.correct / self.asked if self.asked else None


def side_accuracy(method: Method, inputs: ExperimentInput, test: TestSet) -> SideAccuracy:
    """The accuracy of a trained method's bundles over its repeats, cached; 0 of 0 without one."""
    total = SideAccuracy(0, 0)
    for number in range(method.repeats):
        one = inputs.repeated(number)
        bundle = method.train(one).bundle
        if bundle is not None:
            total += _cached_accuracy(one.folder(method.name) / "sides", bundle, test, one.device)
    return total


def _cached_accuracy(
    folder: Path, bundle_folder: Path, test: TestSet, device: torch.device
) -> SideAccuracy:
    bundle = load_bundle(bundle_folder)
    cached(
        folder,
        {"bundle_id": bundle.bundle_id, "test": test.name},
        lambda out: write_json(out / FILE, asdict(count_sides(bundle, test.films, device))),
    )
    return SideAccuracy(**read_json(folder / FILE))


def count_sides(bundle: Bundle, films: Manifest, device: torch.device) -> SideAccuracy:
    """Ask every film with a box for its `left` and its `right` ROI."""
    asked = correct = 0
    boxed = films.subset(films.images["image_id"].isin(set(films.boxes["image_id"])))
    for found in Model(bundle, device=device).regions(boxed.film_paths(), limit=MAX_BOXES):
        for side in SIDES:
            best = int(found.region_attributes[:, bundle.words.keywords.index(side)].argmax())
            asked += 1
            correct += bool(is_on_side(found.xyxy[[best]], found.width, side)[0])
    return SideAccuracy(asked, correct)
