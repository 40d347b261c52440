"""`count_sides`: does the region that answers to "left" lie on the left?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from data_manifests.laterality import SIDES, is_on_side
from data_manifests.support.atomic import write_json
from data_manifests.tables.manifest import Manifest
from localize.bundle.bundle import Bundle, load_bundle, read_json
from localize.inference.model import Model


@dataclass(frozen=True)
class SideCount:
    """Films with an opacity, asked for both sides: how often the region to which the attribute head
    says `left` (or `right`) most surely lies on that side."""

    asked: int
    correct: int

    def __add__(self, other: SideCount) -> SideCount:
        return SideCount(self.asked + other.asked, self.correct + other.correct)

    @property
    def share(self) -> float | None:
        """None where nothing was asked."""
        return self.correct / self.asked if self.asked else None


NO_SIDES = SideCount(0, 0)
FILE = "sides.json"
MAX_BOXES = 10  # of each film, as in a prediction


def kept_sides(folder: Path, bundle: Path, test: Manifest, device: torch.device) -> SideCount:
    """`count_sides`, kept in a method's folder for its bundle."""
    loaded = load_bundle(bundle)
    if (folder / FILE).exists():
        kept = read_json(folder / FILE)
        if kept["bundle_id"] == loaded.bundle_id:
            return SideCount(kept["asked"], kept["correct"])
    found = count_sides(loaded, test, device)
    write_json(folder / FILE, {"bundle_id": loaded.bundle_id, **asdict(found)})
    return found


def count_sides(bundle: Bundle, test: Manifest, device: torch.device) -> SideCount:
    """Ask every film with an opacity for its `left` and its `right` region."""
    asked = correct = 0
    films = test.subset(test.images["image_id"].isin(set(test.boxes["image_id"])))
    for found in Model(bundle, device=device).regions(films.film_paths(), limit=MAX_BOXES):
        for side in SIDES:
            best = int(found.region_attributes[:, bundle.words.keywords.index(side)].argmax())
            asked += 1
            correct += bool(is_on_side(found.xyxy[[best]], found.width, side)[0])
    return SideCount(asked, correct)
