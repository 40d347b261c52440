"""`predict_folder`: kills, shards and engines all end with the bytes of one uninterrupted run."""

from __future__ import annotations

import dataclasses
import errno
import json
import resource
from pathlib import Path

import pytest
import torch

from data_manifests.support.errors import ConfigError, DataError
from detector.proposals import ProposalOptions
from detector.propose import Shard
from localize.bundle.bundle import load_bundle
from localize.inference.film_list import FilmToPredict, film_list
from localize.inference.model import Model
from localize.inference.options import PredictOptions
from localize.inference.predict_films import predict_films
from localize.inference.predict_folder import PredictReport, predict_folder
from localize.inference.ray_engine import BlockPredictor, films_of_block, task_of_films
from localize.prediction.tables import TABLES, read_prediction, write_prediction
from tests.data_manifests.film_files import ramp, write_dicom
from tests.localize.models import CPU, tiny_severity, write_films, write_tiny_bundle

SIZES = [(96, 96), (200, 120), (60, 150), (96, 96), (200, 120), (96, 96), (90, 80)]
OPTIONS = PredictOptions(batch_size=2, proposals=ProposalOptions(count=20), skip_errors=True)


@pytest.fixture(scope="module")
def bundle_folder(tmp_path_factory):
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle"), severity=tiny_severity())


@pytest.fixture(scope="module")
def bundle(bundle_folder):
    return load_bundle(bundle_folder)


@pytest.fixture(scope="module")
def model(bundle):
    return Model(bundle, OPTIONS)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Seven films in four blocks; the fourth film cannot be read."""
    paths = write_films(tmp_path_factory.mktemp("films"), SIZES)
    paths[3].write_text('no film, but a comma, a "quote" and\na line')
    return film_list(paths)


@pytest.fixture(scope="module")
def expected(bundle, films, tmp_path_factory):
    """The tables of a prediction made in memory, as bytes."""
    folder = tmp_path_factory.mktemp("expected") / "out"
    write_prediction(predict_films(bundle, films, OPTIONS, CPU), folder)
    return tables(folder)


def tables(folder):
    return {name: (folder / name).read_bytes() for name in TABLES}


class Killed(BaseException):
    pass


def die_after(monkeypatch, blocks: int):
    """Kill `Model.predict_listed` after so many blocks; returns the lists of films it gets."""
    asked = []
    predict_listed = Model.predict_listed

    def dies(model, films):
        asked.append([film.image_id for film in films])
        for number, film in enumerate(predict_listed(model, films)):
            if number == blocks * OPTIONS.batch_size:
                raise Killed
            yield film

    monkeypatch.setattr(Model, "predict_listed", dies)
    return asked


def test_the_folder_holds_what_is_predicted_in_memory(model, bundle, films, expected, tmp_path):
    report = predict_folder(model, films, tmp_path / "out")
    assert tables(tmp_path / "out") == expected
    read = read_prediction(tmp_path / "out")
    assert report == PredictReport(6, 1, len(read.boxes), already_done=0)
    assert read.info["bundle_id"] == bundle.bundle_id
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_a_killed_run_goes_on_without_repeating_a_film(
    model, films, expected, tmp_path, monkeypatch, blocks
):
    asked = die_after(monkeypatch, blocks)
    with pytest.raises(Killed):
        predict_folder(model, films, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.undo()
    asked = die_after(monkeypatch, 99)
    report = predict_folder(model, films, tmp_path / "out")
    assert asked == [[film.image_id for film in films[2 * blocks :]]]
    assert report.already_done == 2 * blocks
    assert tables(tmp_path / "out") == expected


@pytest.mark.parametrize("table", [*TABLES, "progress.jsonl"])
def test_a_torn_end_is_cut_off(model, films, expected, tmp_path, monkeypatch, table):
    """A kill in the middle of a write leaves part of a row behind the last noted block."""
    die_after(monkeypatch, 2)
    with pytest.raises(Killed):
        predict_folder(model, films, tmp_path / "out")
    work = tmp_path / ".out.unfinished"
    torn = work / table if table.endswith("jsonl") else work / "out" / table
    with torn.open("ab") as handle:
        handle.write(b'{"films": 6, "siz')
    monkeypatch.undo()
    report = predict_folder(model, films, tmp_path / "out")
    assert report.already_done == 4
    assert tables(tmp_path / "out") == expected


def test_a_table_shorter_than_noted_takes_an_earlier_block(
    model, films, expected, tmp_path, monkeypatch
):
    """After a power cut the note may be on the disk and the rows not."""
    die_after(monkeypatch, 2)
    with pytest.raises(Killed):
        predict_folder(model, films, tmp_path / "out")
    boxes = tmp_path / ".out.unfinished" / "out" / "boxes.csv"
    boxes.write_bytes(boxes.read_bytes()[:-5])
    monkeypatch.undo()
    assert predict_folder(model, films, tmp_path / "out").already_done == 2
    assert tables(tmp_path / "out") == expected


@pytest.mark.parametrize("change", [{"max_boxes": 3}, {"precision": "bfloat16"}])
def test_other_options_start_again(model, bundle, films, tmp_path, monkeypatch, caplog, change):
    die_after(monkeypatch, 2)
    with pytest.raises(Killed):
        predict_folder(model, films, tmp_path / "out")
    monkeypatch.undo()
    options = dataclasses.replace(OPTIONS, **change)
    assert predict_folder(Model(bundle, options), films, tmp_path / "out").already_done == 0
    assert "starts again" in caplog.text
    write_prediction(predict_films(bundle, films, options, CPU), tmp_path / "expected")
    assert tables(tmp_path / "out") == tables(tmp_path / "expected")


@pytest.mark.parametrize("of", [2, 3, 6])
def test_shards_in_any_order_join_to_the_whole(model, bundle, films, expected, tmp_path, of):
    """Six shards of four blocks: two have nothing to do."""
    out = tmp_path / "out"
    for index in reversed(range(of)):
        assert not (out / "prediction.json").exists()
        predict_folder(model, films, out, shard=Shard(index, of))
    assert tables(out) == expected
    info = read_prediction(out).info
    assert info.keys().isdisjoint({"run", "counts"})
    assert info["bundle_id"] == bundle.bundle_id


def test_a_finished_shard_is_not_done_again(model, films, tmp_path, monkeypatch):
    first = predict_folder(model, films, tmp_path, shard=Shard(0, 2))
    assert first.missing_shards == (1,)
    asked = die_after(monkeypatch, 0)
    again = predict_folder(model, films, tmp_path, shard=Shard(0, 2))
    assert asked == []
    assert again == dataclasses.replace(first, already_done=4)


def test_a_dead_shard_is_named_until_it_is_done_and_goes_on_where_it_was(
    model, films, expected, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    die_after(monkeypatch, 1)
    with pytest.raises(Killed):
        predict_folder(model, films, out, shard=Shard(0, 2))
    monkeypatch.undo()
    assert predict_folder(model, films, out, shard=Shard(1, 2)).missing_shards == (0,)
    assert not (out / "prediction.json").exists()
    asked = die_after(monkeypatch, 99)
    report = predict_folder(model, films, out, shard=Shard(0, 2))
    assert report.missing_shards == ()
    assert asked == [[film.image_id for film in films[4:6]]]
    assert tables(out) == expected


@pytest.mark.parametrize("change", ["films", "options"])
def test_another_finished_prediction_is_kept(model, bundle, films, tmp_path, change):
    predict_folder(model, films, tmp_path / "out")
    before = tables(tmp_path / "out")
    predict_folder(model, films, tmp_path / "out")  # the same again may be written
    assert tables(tmp_path / "out") == before
    options = dataclasses.replace(OPTIONS, max_boxes=3) if change == "options" else OPTIONS
    with pytest.raises(DataError, match=f"finished prediction with other {change}; choose"):
        predict_folder(
            Model(bundle, options), films[1:] if change == "films" else films, tmp_path / "out"
        )
    assert tables(tmp_path / "out") == before


def test_shards_of_other_options_are_not_joined(model, bundle, films, tmp_path):
    predict_folder(model, films, tmp_path, shard=Shard(0, 2))
    other = dataclasses.replace(OPTIONS, max_boxes=3)
    with pytest.raises(DataError, match="same films, bundle and options"):
        predict_folder(Model(bundle, other), films, tmp_path, shard=Shard(1, 2))


def test_two_processes_do_not_write_one_prediction(model, films, tmp_path):
    def source(rest):
        with pytest.raises(DataError, match="another process"):
            predict_folder(model, films, tmp_path / "out")
        yield from model.predict_listed(rest)

    predict_folder(model, films, tmp_path / "out", source=source)


def test_no_readable_film_leaves_nothing_behind(model, films, tmp_path):
    with pytest.raises(DataError, match="none of 1 films"):
        predict_folder(model, films[3:4], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_unreadable_film_stops_the_run_and_keeps_what_is_done(model, bundle, films, tmp_path):
    strict = dataclasses.replace(OPTIONS, skip_errors=False)
    with pytest.raises(DataError, match="film3"):
        predict_folder(Model(bundle, strict), films, tmp_path / "out")
    assert predict_folder(model, films, tmp_path / "out").already_done == 2


@pytest.mark.parametrize("change", [{"engine": "tpu"}, {"precision": "float8"}])
def test_an_unknown_engine_or_precision_is_refused(change):
    with pytest.raises(ConfigError, match=r"expected (torch|float32) or"):
        PredictOptions(**change)


@pytest.mark.slow
def test_onnx_boxes_are_those_of_torch(bundle, films, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    onnx = predict_films(bundle, films[:2], dataclasses.replace(OPTIONS, engine="onnx"), CPU)
    exact = predict_films(bundle, films[:2], OPTIONS, CPU)
    columns = ["x1", "y1", "x2", "y2", "score", "alpha", "detector_score"]
    difference = (onnx.boxes[columns] - exact.boxes[columns]).abs().to_numpy()
    assert difference.shape == (len(exact.boxes), 7)
    assert difference.max() <= 1e-3 + 1e-9  # corners are rounded to three digits


def test_a_process_of_the_cluster_returns_the_films_of_its_block(
    model, bundle_folder, films, expected, tmp_path
):
    """What Ray runs and transports, without Ray: the whole way to the same bytes."""
    worker = BlockPredictor(str(bundle_folder), OPTIONS, "cpu", torch.get_num_threads())

    def source(rest):
        for first in range(0, len(rest), OPTIONS.batch_size):
            yield from films_of_block(worker(task_of_films(rest[first : first + 2])))

    predict_folder(model, films, tmp_path / "out", source=source)
    assert tables(tmp_path / "out") == expected


def test_a_process_of_the_cluster_reports_an_unreadable_film(bundle_folder, films):
    strict = dataclasses.replace(OPTIONS, skip_errors=False)
    worker = BlockPredictor(str(bundle_folder), strict, "cpu", torch.get_num_threads())
    with pytest.raises(DataError, match="film3"):
        list(films_of_block(worker(task_of_films(films[2:4]))))


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A local Ray cluster; the worker that dies once knows its marker file."""
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("PNEUMOLOC_TEST_MARKER", str(tmp_path / "died"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    ray.init(
        num_cpus=2,
        object_store_memory=100 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        _node_ip_address="127.0.0.1",
    )
    yield ray
    ray.shutdown()


@pytest.mark.slow
def test_a_ray_cluster_writes_the_same_bytes_though_a_worker_dies(
    cluster, model, bundle, bundle_folder, films, expected, tmp_path, monkeypatch
):
    from localize.inference import ray_engine
    from tests.localize.inference.ray_dying import DiesOnce

    monkeypatch.setattr(ray_engine, "BlockPredictor", DiesOnce)
    source = ray_engine.ray_source(bundle_folder, OPTIONS, "cpu", actors=2)
    predict_folder(model, films, tmp_path / "out", source=source)
    assert (tmp_path / "died").exists()
    assert tables(tmp_path / "out") == expected
    monkeypatch.undo()
    strict = dataclasses.replace(OPTIONS, skip_errors=False)
    source = ray_engine.ray_source(bundle_folder, strict, "cpu", actors=1)
    with pytest.raises(DataError, match="film3"):
        predict_folder(Model(bundle, strict), films, tmp_path / "strict", source=source)


def test_the_description_names_engine_and_precision(model, films, tmp_path):
    predict_folder(model, films[:1], tmp_path / "out")
    content = json.loads((tmp_path / "out" / "prediction.json").read_text())
    assert content["options"]["engine"] == "torch"
    assert content["options"]["precision"] == "float32"


def changed_film(tmp_path):
    """A film that is not the one of its manifest any more."""
    path = write_films(tmp_path, [(96, 96)])[0]
    return [FilmToPredict("film0", path, "film0.png", sha256="0" * 64)]


def test_a_film_that_changed_is_refused_also_on_a_cluster_unless_it_is_not_compared(
    bundle, bundle_folder, tmp_path
):
    listed = changed_film(tmp_path)
    strict = dataclasses.replace(OPTIONS, skip_errors=False)
    with pytest.raises(DataError, match="sha256"):
        list(Model(bundle, strict).predict_listed(listed))
    worker = BlockPredictor(str(bundle_folder), strict, "cpu", torch.get_num_threads())
    with pytest.raises(DataError, match="sha256"):
        list(films_of_block(worker(task_of_films(listed))))
    trusting = dataclasses.replace(strict, verify=False)
    (found,) = Model(bundle, trusting).predict_listed(listed)
    assert found.image_id == "film0"


def test_what_is_odd_about_a_film_file_is_its_warning(bundle, tmp_path):
    tags = {"PresentationIntentType": "FOR PROCESSING", "PatientAge": "007Y"}
    odd = write_dicom(tmp_path / "films" / "odd.dcm", ramp(96, 96), **tags)
    plain = write_dicom(tmp_path / "films" / "plain.dcm", ramp(96, 96))
    predict_folder(Model(bundle, OPTIONS), film_list([odd, plain]), tmp_path / "out")
    images = read_prediction(tmp_path / "out").images.set_index("image_id")
    assert "FOR PROCESSING" in images["warning"]["odd"]
    assert "film of a child" in images["warning"]["odd"]
    assert images["warning"].fillna("")["plain"] == ""
    assert images["p_pneumonia"]["odd"] == images["p_pneumonia"]["plain"]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_batch_that_does_not_fit_is_halved_once(bundle, films, monkeypatch, caplog, error):
    sizes = []
    rank = Model._rank

    def fits_two(model, batch, **options):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise error
        return rank(model, batch, **options)

    square = [film for number, film in enumerate(films) if SIZES[number] == (96, 96)][:1] * 4
    options = dataclasses.replace(OPTIONS, batch_size=4)
    expected = [film.scores for film in Model(bundle, options).predict_listed(square)]
    monkeypatch.setattr(Model, "_rank", fits_two)
    found = [film.scores for film in Model(bundle, options).predict_listed(square)]
    assert sizes == [4, 2, 2]
    assert "--batch-size 2" in caplog.text
    for one, other in zip(found, expected, strict=True):
        assert one.tolist() == pytest.approx(other.tolist(), abs=1e-5)
    options = dataclasses.replace(OPTIONS, batch_size=6)
    with pytest.raises(type(error)):  # halved once, not again and again
        list(Model(bundle, options).predict_listed(square[:1] * 6))
    assert sizes[3:] == [6, 3]


@pytest.mark.faults
def test_a_full_disk_names_the_table_and_the_run_goes_on_with_room(
    model, films, expected, tmp_path
):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = len(expected["boxes.csv"]) // 2
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises(OSError, match=r"boxes\.csv") as caught:
            predict_folder(model, films, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    assert not (tmp_path / "out").exists()
    report = predict_folder(model, films, tmp_path / "out")
    assert report.already_done > 0
    assert tables(tmp_path / "out") == expected
