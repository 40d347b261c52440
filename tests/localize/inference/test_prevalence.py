"""The share of films with an opacity that a user gives: it changes P(pneumonia) and no more."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from data_manifests.support.errors import ConfigError, DataError
from detector.proposals import ProposalOptions
from localize.bundle.bundle import load_bundle
from localize.bundle.calibration import FilmLogit
from localize.bundle.prevalence import at_prevalence
from localize.inference.film_list import film_list
from localize.inference.model import Model
from localize.inference.options import PredictOptions
from localize.inference.predict_folder import predict_folder
from localize.prediction.film_tables import films_of_prediction
from localize.prediction.tables import TABLES, read_prediction
from tests.data_manifests.film_files import ramp, write_dicom
from tests.localize.models import tiny_severity, write_films, write_tiny_bundle

OPTIONS = PredictOptions(batch_size=2, proposals=ProposalOptions(count=20))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    return load_bundle(write_tiny_bundle(folder, severity=tiny_severity()))


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return film_list(write_films(tmp_path_factory.mktemp("films"), [(96, 96), (200, 120)]))


def tables(folder):
    return [(folder / name).read_bytes() for name in TABLES]


@pytest.fixture
def half(bundle):
    """The bundle with P(pneumonia) stated for sets of which half the films show an opacity."""
    return dataclasses.replace(
        bundle, calibration=dataclasses.replace(bundle.calibration, prevalence=0.5)
    )


def test_a_prevalence_changes_p_alone_and_is_recorded(bundle, half, films, tmp_path):
    given = dataclasses.replace(OPTIONS, prevalence=0.1)
    read = {}
    for name, model in {
        "before": Model(bundle, OPTIONS),
        "own": Model(half, OPTIONS),
        "given": Model(half, given),
    }.items():
        predict_folder(model, films, tmp_path / name)
        read[name] = read_prediction(tmp_path / name)
    assert tables(tmp_path / "before") == tables(tmp_path / "own")  # the default is its own
    expected = [at_prevalence(p, 0.5, 0.1) for p in read["own"].images["p_pneumonia"]]
    assert read["given"].images["p_pneumonia"].tolist() == pytest.approx(expected, rel=1e-9)
    others = [name for name in read["own"].images if name != "p_pneumonia"]  # severity, call, ...
    assert read["given"].images[others].equals(read["own"].images[others])
    assert read["given"].boxes.equals(read["own"].boxes)
    assert read["given"].attributes.equals(read["own"].attributes)
    assert read["before"].prevalence() is read["before"].model_prevalence() is None
    assert (read["own"].prevalence(), read["own"].model_prevalence()) == (0.5, 0.5)
    assert (read["given"].prevalence(), read["given"].model_prevalence()) == (0.1, 0.5)
    assert [film.prevalence for film in films_of_prediction(read["given"])] == [0.1, 0.1]
    assert "prevalence" not in read["own"].info["options"]
    assert read["given"].info["options"]["prevalence"] == 0.1
    with pytest.raises(DataError, match="finished prediction with other options"):
        predict_folder(Model(half, given), films, tmp_path / "own")


def test_python_gives_the_same_at_a_prevalence_or_says_why_not(bundle, half, films):
    film, model = films[0].file, Model(half, OPTIONS)
    own = model.predict(film)
    given = model.predict(film, prevalence=0.1)
    assert given.p_pneumonia == at_prevalence(own.p_pneumonia, 0.5, 0.1)
    assert (own.prevalence, given.prevalence, given.severity) == (0.5, 0.1, own.severity)
    for wrong in (0, 1, float("nan"), "0.1"):
        with pytest.raises(ConfigError, match="above 0 and below 1"):
            model.predict(film, prevalence=wrong)
    with pytest.raises(ConfigError, match="a bundle that states its own"):
        Model(bundle, OPTIONS).predict(film, prevalence=0.1)
    with pytest.raises(ConfigError, match="a bundle that states its own"):
        Model(bundle, dataclasses.replace(OPTIONS, prevalence=0.1))


def test_a_header_that_tells_of_a_child_takes_the_childs_coefficients(half, tmp_path):
    child = FilmLogit(-1.0, 0.0, 0.0)
    fitted = dataclasses.replace(half.calibration, child=child)
    model = Model(dataclasses.replace(half, calibration=fitted), OPTIONS)
    young, old = (
        model.predict(write_dicom(tmp_path / f"{age}.dcm", ramp(96, 96), PatientAge=age))
        for age in ("007Y", "070Y")
    )
    assert young.p_pneumonia == pytest.approx(1 / (1 + np.exp(1.0)))
    assert old.p_pneumonia != young.p_pneumonia
    np.testing.assert_array_equal(old.scores, young.scores)
