from __future__ import annotations

import numpy as np
from PIL import Image

from localize.formats.export import export
from localize.formats.hub.format_options import FormatOptions
from localize.formats.tools.overlay import HIGH, PERSON
from tests.localize.formats.films import make_annotations, make_film

BOXES = ((40.0, 60.0, 140.0, 220.0), (300.0, 100.0, 400.0, 300.0))


def test_boxes_are_drawn_on_the_film_in_its_full_size(tmp_path):
    grey = np.full((640, 512), 100, np.uint8)
    (tmp_path / "films").mkdir()
    for name in ("a.png", "none.png"):
        Image.fromarray(grey).save(tmp_path / "films" / name)
    film = make_film("a.png", BOXES, scores=np.array([1.0, np.nan]))
    options = FormatOptions(image_root=tmp_path / "films")
    annotations = make_annotations(film, make_film("none.png", ()))
    export(annotations, "png", tmp_path / "out", options=options)
    picture = np.asarray(Image.open(tmp_path / "out" / "a.png"))
    assert picture.shape == (640, 512, 3)
    assert tuple(picture[140, 40]) == HIGH
    assert tuple(picture[140, 139]) == HIGH
    assert tuple(picture[200, 300]) == PERSON
    assert tuple(picture[200, 350]) == (100, 100, 100), "the film inside a box is as it was"
    above = picture[30:60, 40:200].reshape(-1, 3)
    assert (above == HIGH).all(axis=1).any(), "a caption stands above the box"
    plain = np.asarray(Image.open(tmp_path / "out" / "none.png"))
    assert (plain == 100).all()
