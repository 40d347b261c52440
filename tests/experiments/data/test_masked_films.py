"""COVID films with masks: only films that have one, each with its own boxes and pixels."""

from __future__ import annotations

import csv

import cv2
import numpy as np
import pytest

from data_manifests.support.errors import DataError
from experiments.data.masked_films import masked_films
from tests.experiments.tiny_open_data import PX, write_open_data


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = write_open_data(tmp_path_factory.mktemp("open"))
    covid = folder / "covid_chestxray"
    with (covid / "boxes.csv").open() as handle:
        boxes = list(csv.DictReader(handle))
    with (covid / "metadata.csv").open() as handle:
        films = list(csv.DictReader(handle))
    chosen = sorted({row["image"] for row in boxes})[:3]
    masks = {image: f"mask-{number}.png" for number, image in enumerate(chosen)}
    films = [film | {"opacity_mask": masks.get(film["image"], "")} for film in films]
    for number, image in enumerate(chosen):
        lesion = {"x1": 1, "y1": 2, "x2": 3 + number, "y2": 9}
        boxes.append({"image": image, "kind": "mask_component", **lesion})
        mask = np.zeros((PX, PX), np.uint8)
        mask[: number + 1, 0] = 255
        cv2.imwrite(str(covid / masks[image]), mask)
    for name, rows in (("boxes.csv", boxes), ("metadata.csv", films)):
        with (covid / name).open("w", newline="") as handle:
            writer = csv.DictWriter(handle, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return folder, [image.removeprefix("images/").removesuffix(".png") for image in chosen]


def test_films_with_a_mask_have_its_pixels_and_their_own_boxes(data):
    folder, chosen = data
    found = masked_films(folder)
    assert sorted(found.films.images["image_id"]) == chosen
    assert set(found.films.images["split"]) == {"test"}
    for image_id, mask, lesions, opacities in zip(
        found.films.images["image_id"], found.masks, found.lesions, found.opacities, strict=True
    ):
        number = chosen.index(image_id)
        assert mask.sum() == number + 1
        assert lesions.tolist() == [[1, 2, 3 + number, 9]]
        assert len(opacities) >= 1
    assert all(len(one) == 0 for one in found.lungs)


def test_a_mask_that_is_missing_is_named(data):
    folder, _ = data
    mask = folder / "covid_chestxray" / "mask-0.png"
    content = mask.read_bytes()
    mask.unlink()
    with pytest.raises(DataError, match=mask.name):
        masked_films(folder)
    mask.write_bytes(content)
