"""Damaged and hostile annotation files: each is read or refused by name."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_manifests.support.errors import DataError
from data_manifests.tables.manifest import make_manifest
from localize.formats.export import export
from localize.formats.hub.format_options import FormatOptions
from localize.formats.import_boxes import import_boxes
from localize.formats.registry import read_annotations
from tests.localize.formats.films import make_annotations, make_film

CHANGES = int(os.environ.get("PNEUMOLOC_FUZZ", "60"))  # of each file; `make fuzz` makes more
VALUES = (None, 0, -1, 1.5, "x", "", "1e999", [], {}, [[]], [None], {"a": [0]}, True, 10**400, "[")
FILES = {
    "coco": "a.json",
    "v7-coco": "a.json",
    "label-studio": "a.json",
    "cvat": "a.xml",
    "via": "a.json",
    "via csv": "a.csv",
    "labelme": "out",
    "voc": "out",
    "yolo": "out",
    "yolo-1.1": "out",
    "rsna-csv": "a.csv",
}


@pytest.fixture
def manifest(tmp_path):
    images = pd.DataFrame(
        {
            "image_id": ["a", "b"],
            "patient_id": ["p", "q"],
            "study_id": ["s", "t"],
            "path": ["a.png", "b.png"],
            "width": 512,
            "height": 640,
        }
    )
    return make_manifest(images, root=tmp_path)


def exported(name: str, folder: Path) -> Path:
    """Two films in a format, the first with two boxes; its files are there for VIA."""
    boxes = ((10.0, 20.0, 110.0, 220.0), (200.0, 300.0, 400.5, 500.25))
    films = [make_film("a.png", boxes), make_film("b.png", ())]
    for film in films:
        (folder / film.name).write_bytes(b"film")
    target = folder / FILES[name]
    options = FormatOptions(image_root=folder)
    export(make_annotations(*films), name.split()[0], target, options=options, has_sidecar=False)
    if name == "label-studio":
        tasks = json.loads(target.read_text())
        for task in tasks:
            task["annotations"] = [{"result": task["predictions"][0]["result"], "completed_by": 1}]
        target.write_text(json.dumps(tasks))
    return target


def places(content, path=()):
    """The path of every value of a JSON document."""
    yield path
    below = dict(enumerate(content)) if isinstance(content, list) else content
    for key, value in below.items() if isinstance(below, dict) else ():
        yield from places(value, (*path, key))


def changed_json(content, rng):
    """The document with one value replaced or left out."""
    content = copy.deepcopy(content)
    found = list(places(content))
    path = found[int(rng.integers(len(found)))]
    value = VALUES[int(rng.integers(len(VALUES)))]
    if not path:
        return value
    above = content
    for key in path[:-1]:
        above = above[key]
    if rng.integers(4) == 0:
        del above[path[-1]]
    else:
        above[path[-1]] = value
    return content


def damaged(content: bytes, rng) -> bytes:
    """Bytes with up to three of them changed, or an end cut off."""
    changed = bytearray(content)
    for place in rng.integers(0, len(changed), int(rng.integers(1, 4))):
        changed[place] = int(rng.integers(256))
    return bytes(changed[: rng.integers(len(changed))] if rng.integers(5) == 0 else changed)


def read_or_refuse(target: Path, name: str, manifest) -> bool:
    """Whether an import was refused, with words."""
    try:
        import_boxes(read_annotations(target, name.split()[0], manifest), manifest)
    except DataError as error:
        message = str(error)
    else:
        return False
    assert "expected" in message
    assert len(message) < 20_000
    return True


@pytest.mark.faults
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_imported_or_refused_and_nothing_else(tmp_path, manifest, name):
    target = exported(name, tmp_path)
    assert not read_or_refuse(target, name, manifest)
    files = [target] if target.is_file() else sorted(p for p in target.rglob("*") if p.is_file())
    rng = np.random.default_rng(len(name))
    refused = 0
    for number in range(CHANGES):
        file = files[number % len(files)]
        content = file.read_bytes()
        if file.suffix == ".json" and number % 4:
            file.write_text(json.dumps(changed_json(json.loads(content), rng)))
        else:
            file.write_bytes(damaged(content, rng) if content else b"\xff\x00")
        refused += read_or_refuse(target, name, manifest)
        file.write_bytes(content)
    assert refused


@pytest.mark.faults
def test_a_damaged_cvat_zip_is_imported_or_refused(tmp_path, manifest):
    xml = exported("cvat", tmp_path).read_bytes()
    target = tmp_path / "a.zip"
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(target, "w", method) as archive:
            archive.writestr("annotations.xml", xml)
        content = target.read_bytes()
        assert not read_or_refuse(target, "cvat", manifest)
        rng = np.random.default_rng(method)
        for _ in range(CHANGES):
            target.write_bytes(damaged(content, rng))
            read_or_refuse(target, "cvat", manifest)


def bomb(kind: str) -> bytes:
    """The start of an annotation file, then very much of nothing."""
    much = 180 << 20
    inside = {"text": b"a", "elements": b"<a/>", "depth": b"<a>", "spaces": b" "}[kind]
    return b"<annotations><image>" + inside * (much // len(inside))


IMPORT = """
import resource, sys, time
from pathlib import Path
from data_manifests.support.errors import DataError
from localize.formats.tools import cvat
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
try:
    cvat.read_cvat(Path(sys.argv[1]))
except DataError as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, time.process_time() - start)
"""


@pytest.mark.faults
@pytest.mark.parametrize("kind", ["text", "elements", "depth", "spaces"])
@pytest.mark.parametrize("is_packed", [True, False])
def test_a_bomb_in_a_cvat_zip_takes_little_memory(tmp_path, kind, is_packed):
    target = tmp_path / "a.zip"
    content = bomb(kind) if is_packed else bomb(kind)[: 40 << 20]
    method = zipfile.ZIP_DEFLATED if is_packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(target, "w", method) as archive:
        archive.writestr("annotations.xml", content)
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, str(target)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    kib, seconds = done.stdout.split()
    assert int(kib) < 200 * 1024
    assert float(seconds) < 5


ALIASES = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(12)
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (ALIASES + "names: *m\n", "anchor or alias"),
        ("names: " + "[" * 5000, "nesting"),
        ("names: !!python/object/apply:os.system [true]\n", "without tags"),
        ("names: [a]\n" + "#" * 2_000_000, "at most 1,000,000 bytes"),
    ],
)
def test_class_names_cannot_grow_without_end(tmp_path, manifest, content, reason):
    target = exported("yolo", tmp_path)
    (target / "data.yaml").write_text(content)
    with pytest.raises(DataError, match=reason):
        read_annotations(target, "yolo", manifest)


@pytest.mark.parametrize("name", ["coco", "label-studio", "via", "labelme"])
def test_deep_json_is_refused(tmp_path, manifest, name):
    target = tmp_path / "a.json"
    target.write_text("[" * 200_000)
    with pytest.raises(DataError, match=r"a\.json"):
        read_annotations(target, name, manifest)


def test_too_large_json_is_not_read(tmp_path, manifest, monkeypatch):
    monkeypatch.setattr("localize.formats.hub.reading.MAX_JSON_BYTES", 100)
    (tmp_path / "a.json").write_text(" " * 101)
    with pytest.raises(DataError, match="expected JSON of at most"):
        read_annotations(tmp_path / "a.json", "coco", manifest)
