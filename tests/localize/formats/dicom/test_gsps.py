"""A presentation state shows a film as the film itself says, whatever its encoding."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from data_manifests.films.read_film import read_film
from localize.formats.export import export
from localize.formats.hub.format_options import FormatOptions
from tests.localize.formats.dicom.encodings import (
    ENCODINGS,
    HEIGHT,
    WIDTH,
    correlation,
    rendered,
    rendered_with_state,
    write_encoded,
)
from tests.localize.formats.films import make_annotations, make_film

pytest.importorskip("highdicom")


def state_of(tmp_path, name):
    write_encoded(tmp_path / "films" / "a.dcm", name)
    film = make_film("a.dcm", ((10, 10, 40, 40),), width=WIDTH, height=HEIGHT)
    options = FormatOptions(image_root=tmp_path / "films")
    export(make_annotations(film), "dicom-gsps", tmp_path / "out", options=options)
    return tmp_path / "films" / "a.dcm", tmp_path / "out" / "a.dcm"


@pytest.mark.parametrize("name", ENCODINGS)
def test_the_state_shows_the_film_as_dcmtk_shows_the_film(tmp_path, name):
    film, state = state_of(tmp_path, name)
    shown, expected = rendered_with_state(film, state), rendered(film, name)
    assert correlation(shown, expected) > 0.99
    # Correlation does not see a film that is almost black.
    assert abs(shown.mean() - expected.mean()) < 5
    assert shown.std() == pytest.approx(expected.std(), rel=0.2)


@pytest.mark.parametrize("name", ENCODINGS)
def test_the_film_is_read_as_dcmtk_shows_it(tmp_path, name):
    write_encoded(tmp_path / "a.dcm", name)
    pixels = read_film(tmp_path / "a.dcm").pixels
    assert correlation(pixels, rendered(tmp_path / "a.dcm", name)) > 0.99


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("window", "IDENTITY"),
        ("inverted window", "INVERSE"),
        ("inverted window, shape inverse", "INVERSE"),
    ],
)
def test_the_polarity_of_the_film_is_written(tmp_path, name, shape):
    assert pydicom.dcmread(state_of(tmp_path, name)[1]).PresentationLUTShape == shape


def test_a_table_is_written_with_16_bits_and_the_same_look(tmp_path):
    _, state = state_of(tmp_path, "VOI LUT of 12 bits")
    (table,) = pydicom.dcmread(state).SoftcopyVOILUTSequence[0].VOILUTSequence
    assert list(table.LUTDescriptor) == [4096, 0, 16]
    entries = np.frombuffer(table.LUTData, "<u2")
    assert (entries[0], entries[-1]) == (0, 65535)
    np.testing.assert_allclose(entries / 65535, np.linspace(0, 1, 4096) ** 2, atol=2e-4)
