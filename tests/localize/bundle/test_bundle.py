"""Bundles: what is in one, and everything that is refused."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from data_manifests.support.errors import CheckpointError, DataError
from localize.bundle.bundle import load_bundle, verify_bundle
from localize.bundle.calibration import Calibration
from localize.bundle.write_bundle import write_bundle
from localize.inference.film_list import film_list
from localize.inference.options import PredictOptions
from localize.inference.predict_films import predict_films
from localize.pipeline.make_bundle import make_bundle
from tests.localize.models import (
    BUNDLE_KEYWORDS,
    CPU,
    film_manifest,
    tiny_severity,
    write_films,
    write_tiny_bundle,
)

FILES = (
    "MODEL_CARD.md",
    "calibration.json",
    "detector.json",
    "detector.safetensors",
    "lexicon.yaml",
    "localizer.json",
    "localizer.safetensors",
    "severity.json",
    "vectors.json",
    "word_vectors.safetensors",
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two finished runs, word vectors and their bundle; not to be changed."""
    folder = tmp_path_factory.mktemp("runs")
    write_tiny_bundle(folder, severity=tiny_severity())
    return folder


@pytest.fixture
def bundle(runs, tmp_path):
    """A copy that may be changed; large files are links until they are."""
    folder = tmp_path / "bundle"
    shutil.copytree(runs / "bundle", folder, copy_function=os.link)
    return folder


def rewrite(path, content: bytes) -> None:
    """Replace a file, not what it is linked to."""
    path.unlink()
    path.write_bytes(content)


def reseal(folder) -> None:
    """Correct the checksums, as a stranger who builds a bundle would."""
    path = folder / "bundle.json"
    description = json.loads(path.read_text())
    for name in description["files"]:
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        description["files"][name] = digest
    rewrite(path, json.dumps(description).encode())


def change_json(path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    rewrite(path, json.dumps(content).encode())


def change_tensor(path, name, tensor) -> None:
    tensors = {key: value.clone() for key, value in load_file(path).items()}
    tensors[name] = tensor
    path.unlink()
    save_file(tensors, path)


def test_a_bundle_holds_what_it_says(bundle):
    assert sorted(path.name for path in bundle.iterdir()) == sorted([*FILES, "bundle.json"])
    description = verify_bundle(bundle)
    assert sorted(description["files"]) == sorted(FILES)
    for name, checksum in description["files"].items():
        assert hashlib.sha256((bundle / name).read_bytes()).hexdigest() == checksum


def test_a_loaded_bundle_is_what_was_written(bundle, runs):
    loaded = load_bundle(bundle)
    assert loaded.words.keywords == BUNDLE_KEYWORDS
    assert loaded.calibration == Calibration(box_alpha=0.7, box_film=0.4, films=5, boxes=50)
    assert loaded.severity == tiny_severity()
    assert not loaded.detector.training
    assert not loaded.localizer.training
    for name, tensor in load_file(runs / "localizer" / "localizer.safetensors").items():
        assert torch.equal(loaded.localizer.state_dict()[name], tensor)
    digest = hashlib.sha256((bundle / "bundle.json").read_bytes()).hexdigest()
    assert loaded.bundle_id == digest


def test_a_bundle_from_before_film_evidence_does_without(bundle):
    change_json(bundle / "localizer.json", lambda c: c["localizer"].pop("film_evidence"))
    path = bundle / "localizer.safetensors"
    kept = {k: v for k, v in load_file(path).items() if not k.startswith("film_head.")}
    path.unlink()
    save_file(kept, path)
    reseal(bundle)
    loaded = load_bundle(bundle)
    assert loaded.localizer_config.film_evidence is False
    assert loaded.localizer.film_head is None
    assert loaded.localizer.state_dict().keys() == kept.keys()


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_is_refused_by_name(bundle, name):
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    rewrite(bundle / name, bytes(content))
    with pytest.raises(CheckpointError, match=rf"{name}: expected the SHA-256 in"):
        load_bundle(bundle)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused_by_name(bundle, name):
    (bundle / name).unlink()
    with pytest.raises(CheckpointError, match=f"'{name}', which bundle.json names, got none"):
        load_bundle(bundle)


@pytest.mark.parametrize("name", [name for name in FILES if name not in ("MODEL_CARD.md",)])
def test_a_file_that_bundle_json_does_not_name_is_refused(bundle, name):
    """Else its content would be loaded without a checksum."""
    if name == "lexicon.yaml":
        pytest.skip("prediction does not read it")
    change_json(bundle / "bundle.json", lambda content: content["files"].pop(name))
    with pytest.raises(CheckpointError, match=name):
        load_bundle(bundle)


def test_a_second_shard_of_weights_is_refused(bundle):
    (bundle / "detector-00001-of-00001.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"expected a file named in bundle\.json"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "sub/file", "..", ".", "", "a\0b", "x" * 5000, "sub"],
)
def test_a_name_that_leaves_the_folder_is_refused(bundle, name):
    (bundle.parent / "secret").write_text("secret")
    (bundle / "sub").mkdir()
    (bundle / "sub" / "file").write_text("x")
    secret = hashlib.sha256(b"secret").hexdigest()
    change_json(bundle / "bundle.json", lambda content: content["files"].update({name: secret}))
    with pytest.raises(CheckpointError, match=r"which bundle\.json names, got none"):
        verify_bundle(bundle)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"format_version": 2, "files": {}}',
        b'{"files": {}}',
        b'{"format_version": 1}',
        b'{"format_version": 1, "files": []}',
        b'{"format_version": 1, "files": {}}',
        b'{"format_version": 1, "files": {"lexicon.yaml": 7}}',
        b"cos\nsystem\n(S'true'\ntR.",
    ],
    ids=[
        "empty",
        "cut",
        "a list",
        "nested too deep",
        "no text",
        "another version",
        "no version",
        "no files",
        "files in a list",
        "not one file",
        "a number for a checksum",
        "a pickle",
    ],
)
def test_a_hostile_description_is_refused(bundle, content):
    rewrite(bundle / "bundle.json", content)
    with pytest.raises(CheckpointError, match=r"bundle|lexicon"):
        load_bundle(bundle)


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"expected a model bundle, got no bundle\.json"):
        load_bundle(tmp_path)
    with pytest.raises(CheckpointError, match="expected a model bundle"):
        load_bundle(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("file", "tensor"),
    [
        ("localizer.safetensors", "roi_weights.mlp.0.bias"),
        ("detector.safetensors", "head.classification_head.cls_logits.bias"),
    ],
)
def test_weights_that_are_not_numbers_are_refused_by_name(bundle, file, tensor):
    shape = load_file(bundle / file)[tensor].shape
    change_tensor(bundle / file, tensor, torch.full(shape, torch.nan))
    reseal(bundle)
    with pytest.raises(CheckpointError, match=f"{tensor} has values that are not finite"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    "name",
    [
        "detector.safetensors",
        "localizer.safetensors",
        "word_vectors.safetensors",
        "detector.json",
        "localizer.json",
        "vectors.json",
        "calibration.json",
        "severity.json",
        "lexicon.yaml",
    ],
)
def test_a_pickle_in_place_of_a_file_does_not_run(bundle, name, tmp_path):
    canary = tmp_path / "canary"
    rewrite(bundle / name, f"cos\nsystem\n(S'touch {canary}'\ntR.".encode())
    reseal(bundle)
    if name == "lexicon.yaml":
        load_bundle(bundle)  # prediction does not read it
    else:
        with pytest.raises(CheckpointError):
            load_bundle(bundle)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["sizes"].update(keywords=5), r"sizes\.keywords"),
        (lambda c: c["sizes"].update(word_width=9), r"sizes\.word_width"),
        (lambda c: c["sizes"].update(feature_width=64), r"sizes\.feature_width"),
        (lambda c: c.update(keywords=["right", "left", "mild", "severe"]), "field keywords"),
        (lambda c: c["localizer"].update(hidden=10**12), "must have shape"),
        (lambda c: c["localizer"].update(hidden=10**30), "configuration"),
        (lambda c: c["sizes"].update(word_width=-1), "configuration"),
        (lambda c: c["sizes"].update(word_width="__import__('os')"), "configuration"),
        (lambda c: c["localizer"].update(alpha="eval"), "configuration"),
        (lambda c: c["localizer"].update(callback="os.system"), "configuration"),
        (lambda c: c.pop("sizes"), "configuration"),
        (lambda c: c.update(localizer=[1]), "configuration"),
        (lambda c: c.pop("keywords"), "configuration"),
    ],
    ids=[
        "more keywords than words",
        "other words",
        "another detector's features",
        "keywords in another order",
        "a net of terabytes",
        "a number that fits nowhere",
        "a negative width",
        "code for a number",
        "no such kind",
        "an unknown setting",
        "no sizes",
        "a list",
        "no keywords",
    ],
)
def test_a_localizer_that_does_not_fit_is_refused(bundle, change, message):
    change_json(bundle / "localizer.json", change)
    reseal(bundle)
    with pytest.raises(CheckpointError, match=message):
        load_bundle(bundle)


@pytest.mark.parametrize("name", ["detector.json", "localizer.json", "vectors.json"])
@pytest.mark.parametrize("content", [b"[" * 100_000, b"null", b"[]", b"\xff"])
def test_a_description_that_is_none_is_refused(bundle, name, content):
    rewrite(bundle / name, content)
    reseal(bundle)
    with pytest.raises(CheckpointError, match=r"detector|localizer|bundle"):
        load_bundle(bundle)


def write_again(runs, out, **changes):
    parts = {
        "detector_run": runs / "detector",
        "localizer_run": runs / "localizer",
        "words_folder": runs / "words",
        "lexicon": runs / "bundle" / "lexicon.yaml",
        "calibration": Calibration(),
        "severity": None,
        "training_data": "nothing",
        "model_card": "card",
        **changes,
    }
    return write_bundle(out, **parts)


def test_a_bundle_is_not_written_over_anything(runs, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(CheckpointError, match="expected no such folder yet"):
        write_again(runs, tmp_path / "out")


@pytest.mark.parametrize("part", ["detector_run", "localizer_run", "words_folder", "lexicon"])
def test_a_missing_part_leaves_nothing_behind(runs, tmp_path, part):
    with pytest.raises(CheckpointError):
        write_again(runs, tmp_path / "out", **{part: tmp_path / "nowhere"})
    assert list(tmp_path.iterdir()) == []


def test_a_sharded_detector_is_bundled(runs, tmp_path):
    tensors = load_file(runs / "detector" / "detector.safetensors")
    names = sorted(tensors)
    detector = tmp_path / "detector"
    detector.mkdir()
    shutil.copy(runs / "detector" / "detector.json", detector)
    for number, part in enumerate((names[:40], names[40:]), start=1):
        path = detector / f"detector-{number:05d}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, path)
    loaded = load_bundle(write_again(runs, tmp_path / "out", detector_run=detector))
    assert all(torch.equal(loaded.detector.state_dict()[name], tensors[name]) for name in names)


def test_make_bundle_asks_for_a_free_folder_before_it_predicts(runs, tmp_path):
    with pytest.raises(CheckpointError, match="expected no such folder yet"):
        make_again(runs, tmp_path, None)


def make_again(runs, out, validation, **changes):
    parts = {
        "detector_run": runs / "detector",
        "localizer_run": runs / "localizer",
        "words": runs / "words",
        "lexicon": runs / "bundle" / "lexicon.yaml",
        "validation": validation,
        "severity_films": None,
        "severity_column": "severity",
        "training_data": "films of noise",
        "device": CPU,
        **changes,
    }
    return make_bundle(out, **parts)


def test_a_localizer_of_another_detector_is_refused(runs, tmp_path):
    localizer = tmp_path / "localizer"
    shutil.copytree(runs / "localizer", localizer)
    change_json(localizer / "localizer.json", lambda c: c.update(detector_sha256="0" * 64))
    with pytest.raises(CheckpointError, match="regions of another detector"):
        make_again(runs, tmp_path / "out", None, localizer_run=localizer)
    assert not (tmp_path / "out").exists()


def test_make_bundle_calibrates_and_writes_a_card(runs, tmp_path):
    paths = write_films(tmp_path / "films", [(96, 96)] * 12)
    # A random model is right where the truth is what it says.
    draft = load_bundle(runs / "bundle")
    first = predict_films(draft, film_list(paths[:8]), PredictOptions(max_boxes=1), CPU)
    boxes = first.boxes[["image_id", "x1", "y1", "x2", "y2"]].itertuples(index=False)
    scores = {"severity": [float(n % 7) for n in range(12)]}
    films = film_manifest(tmp_path / "films", paths, boxes=boxes, labels=scores)
    out = make_again(runs, tmp_path / "out", films, severity_films=films)
    made = load_bundle(out)
    assert made.calibration.films == 12
    assert made.calibration.boxes > 12
    assert made.severity is not None
    assert made.severity.films == 12
    card = (out / "MODEL_CARD.md").read_text()
    assert "Not a medical device" in card
    assert "Trained by pneumoloc on: films of noise" in card
    # This detector was not validated by a training.
    assert re.search(r"- Detector: \w+, 96 px\n- Localizer", card), card
    assert "Severity: ridge on 12 scored films, range 0.0 to 6.0" in card


def another_bundle(runs, out, **options):
    return write_bundle(
        out,
        detector_run=runs / "detector",
        localizer_run=runs / "localizer",
        words_folder=runs / "words",
        lexicon=runs / "bundle" / "lexicon.yaml",
        calibration=Calibration(),
        severity=None,
        training_data="nothing",
        model_card="# None\n",
        **options,
    )


def test_two_commands_do_not_write_one_bundle(runs, tmp_path):
    def meanwhile(_folder):
        with pytest.raises(DataError, match="another command is writing this bundle"):
            another_bundle(runs, tmp_path / "out")

    another_bundle(runs, tmp_path / "out", more=meanwhile)
    verify_bundle(tmp_path / "out")
    assert os.listdir(tmp_path) == ["out"]


def test_what_a_killed_command_left_is_no_part_of_the_bundle(runs, tmp_path):
    left = tmp_path / ".out.tmp"
    left.mkdir()
    (left / "half.safetensors").write_bytes(b"half")
    another_bundle(runs, tmp_path / "out")
    assert not (tmp_path / "out" / "half.safetensors").exists()
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.faults
@pytest.mark.parametrize("size", [0, 5000, 20_000])
def test_a_full_disk_leaves_no_bundle_and_names_the_file(runs, tmp_path, size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises(OSError, match=r"\.out\.tmp"):
            another_bundle(runs, tmp_path / "out", half_precision=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == []
