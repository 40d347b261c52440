"""Drawn films: what is on the axes, and that HTML is escaped."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tests.localize.prediction.test_film_prediction import empty, film

mpl.use("agg")
PICTURE = np.linspace(0, 1, 80 * 100, dtype=np.float32).reshape(80, 100)


def corners_of(axes) -> list[list[float]]:
    return [[*patch.get_xy(), patch.get_width(), patch.get_height()] for patch in axes.patches]


def test_the_plot_has_the_film_and_its_boxes_in_film_pixels():
    axes = film(picture=PICTURE).plot(Figure().add_subplot())
    np.testing.assert_array_equal(axes.images[0].get_array(), PICTURE)
    assert axes.images[0].get_extent() == [0, 100, 80, 0]
    assert sorted(corners_of(axes)) == [[0, 0, 10, 10], [5, 5, 15, 25]]
    assert {text.get_text() for text in axes.texts} == {"opacity 0.90 left", "opacity 0.40"}
    assert axes.get_title() == "a, boxes 2, P(pneumonia) 0.70"


def test_weak_boxes_can_be_left_out_of_the_plot():
    axes = film().plot(Figure().add_subplot(), min_score=0.5)
    assert corners_of(axes) == [[0, 0, 10, 10]]
    assert axes.get_title() == "a, boxes 1 of 2, P(pneumonia) 0.70"


def test_drawings_start_at_the_films_operating_point():
    made = film(picture=PICTURE, operating_point=0.5)
    assert corners_of(made.plot(Figure().add_subplot())) == [[0, 0, 10, 10]]
    assert len(made.plot(Figure().add_subplot(), min_score=0).patches) == 2
    page = made._repr_html_()
    assert page.count("<rect") == 1
    assert "1 of 2" in page


def test_the_plot_reads_the_films_file(tmp_path):
    Image.fromarray((PICTURE * 255).astype(np.uint8)).save(tmp_path / "a.png")
    axes = film(file=tmp_path / "a.png").plot(Figure().add_subplot())
    np.testing.assert_allclose(axes.images[0].get_array(), PICTURE, atol=1 / 255)


@pytest.mark.parametrize("made", [film(), empty()], ids=["boxes", "none"])
def test_a_film_whose_file_is_gone_is_plotted_black(made):
    axes = made.plot(Figure().add_subplot())
    assert not np.asarray(axes.images[0].get_array()).any()
    assert len(axes.patches) == len(made)


def parsed(made) -> ET.Element:
    return ET.fromstring(made._repr_html_())  # noqa: S314 - our own text


def test_the_notebook_shows_picture_boxes_and_numbers():
    page = parsed(film(picture=PICTURE, severity=3.0, severity_interval=(2.0, 4.0), warning="odd"))
    svg = "{http://www.w3.org/2000/svg}"
    boxes = [
        [float(box.get(name)) for name in ("x", "y", "width", "height")]
        for box in page.iter(f"{svg}rect")
    ]
    assert boxes == [[0, 0, 10, 10], [5, 5, 15, 25]]
    data = next(page.iter(f"{svg}image")).get("href")
    content = base64.b64decode(re.fullmatch("data:image/jpeg;base64,(.*)", data)[1])
    with Image.open(io.BytesIO(content)) as image:
        np.testing.assert_allclose(np.asarray(image) / 255, PICTURE, atol=0.05)
    cells = dict(
        ("".join(row[0].itertext()), "".join(row[1].itertext())) for row in page.iter("tr")
    )
    assert cells["severity"] == "3.0 [2.0, 4.0]"
    assert cells["P(pneumonia)"] == "0.70"
    assert cells["left"] == "0.80"
    assert cells["warning"] == "odd"


def test_the_notebook_shows_no_word_without_evidence():
    made = film(attributes={"left": 0.8, "streaky": 0.9}, unproven=("streaky",))
    assert made.shown_attributes() == {"left": 0.8}
    page = made._repr_html_()
    assert "left" in page
    assert "streaky" not in page


def test_hostile_text_stays_text_in_a_notebook():
    hostile = "<script>alert('x')</script>&\""
    made = film(
        image_id=hostile,
        labels=(hostile, "b"),
        box_attributes=((hostile,), ()),
        attributes={hostile: 0.9},
        warning=hostile,
    )
    assert "<script" not in made._repr_html_()
    page = parsed(made)
    assert {element.tag.rpartition("}")[2] for element in page.iter()} == set(
        "div svg rect title table tr th td".split()
    )
    assert next(page.iter("td")).text == hostile
