"""`masked_films`: COVID films with a mask of their opacity, and what other boxes they have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data_manifests.films.read_film import read_film
from data_manifests.support.arrays import Bools, Floats
from data_manifests.support.csv_file import read_text_csv
from data_manifests.tables.columns import CORNERS
from data_manifests.tables.manifest import Manifest
from experiments.data.open_films import OPACITY_KIND, open_manifests

FOLDER = "covid_chestxray"
# One box for each connected part of the mask of ground glass, and of that of consolidation.
LESION_KIND = "mask_component"
LUNG_KIND = "lung_box"


@dataclass(frozen=True)
class MaskedFilms:
    """I films of patients that no pair of film and note is of.

    `masks`: where the opacity is, (height, width) of each film. `lesions`, `opacities` and `lungs`
    are boxes (N, 4) in film pixels: of each lesion, of all opacity of a lung, of each lung.
    """

    films: Manifest
    masks: tuple[Bools, ...]
    lesions: tuple[Floats, ...]
    opacities: tuple[Floats, ...]
    lungs: tuple[Floats, ...]


def masked_films(data: Path) -> MaskedFilms:
    """The films with a mask in `data/covid_chestxray`.

    Raises:
        DataError: a missing table, a bad row, or a mask that cannot be read.
    """
    folder = data / FOLDER
    table = read_text_csv(folder / "metadata.csv")
    masks = {
        Path(image).stem: folder / mask
        for image, mask in zip(table["image"], table["opacity_mask"], strict=True)
        if mask
    }
    test = open_manifests(data).covid.split("test")
    films = test.subset(test.images["image_id"].isin(set(masks)))
    image_ids = films.images["image_id"].tolist()
    boxes = read_text_csv(folder / "boxes.csv")
    boxes = boxes.assign(image_id=boxes["image"].map(lambda path: Path(path).stem))

    def of_kind(kind: str) -> tuple[Floats, ...]:
        chosen = boxes[boxes["kind"] == kind]
        corners = chosen[list(CORNERS)].astype("float64").to_numpy()
        found = chosen["image_id"].to_numpy()
        return tuple(corners[found == image_id] for image_id in image_ids)

    return MaskedFilms(
        films,
        tuple(_read_mask(masks[image_id]) for image_id in image_ids),
        of_kind(LESION_KIND),
        of_kind(OPACITY_KIND),
        of_kind(LUNG_KIND),
    )


def _read_mask(path: Path) -> Bools:
    mask: Bools = read_film(path).pixels > 0
    return mask
