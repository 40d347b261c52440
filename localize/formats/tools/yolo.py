"""YOLO: one text file a film, `class cx cy w h` as shares of the film, class from 0.

`yolo` is the layout of Ultralytics (`data.yaml`, `images/`, `labels/`;
https://docs.ultralytics.com/datasets/detect), `yolo-1.1` that of CVAT and Darknet (`obj.names`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml

from data_manifests.support.arrays import Floats
from data_manifests.support.errors import ConfigError, DataError, Problem
from data_manifests.support.located_yaml import read_located_yaml
from localize.formats.hub.annotations import Annotations, FilmAnnotation
from localize.formats.hub.film_names import SafeNames, split_suffix
from localize.formats.hub.format_options import FormatOptions
from localize.formats.hub.imported_film import ImportedBox, ImportedFilm, SizeOf
from localize.formats.hub.reading import BadField, file_error
from localize.formats.hub.writing import atomic_folder

LABEL_FOLDERS = ("labels", "obj_train_data")


def write_yolo(annotations: Annotations, target: Path, options: FormatOptions) -> None:
    """Write `labels/` and `data.yaml`; put the films into the empty `images/` beside them.

    Negatives have an empty file. With `yolo_confidence` there is a sixth column, which most
    importers refuse.

    Raises:
        DataError: `target` holds something already.
    """
    with atomic_folder(target) as folder:
        (folder / "images").mkdir()
        for _ in _write_labels(annotations, folder / "labels", options):
            pass
        content = {
            "path": ".",
            "train": "images",
            "val": "images",
            "names": dict(enumerate(annotations.labels)),
        }
        (folder / "data.yaml").write_text(
            yaml.safe_dump(content, allow_unicode=True, sort_keys=False), "utf-8"
        )


def write_yolo_darknet(annotations: Annotations, target: Path, options: FormatOptions) -> None:
    """Write CVAT's "YOLO 1.1": `obj.data`, `obj.names`, `train.txt`, `obj_train_data/`.

    Raises:
        DataError: `target` holds something already.
    """
    with atomic_folder(target) as folder:
        images = _write_labels(annotations, folder / "obj_train_data", options)
        with (folder / "train.txt").open("w", encoding="utf-8") as listed:
            listed.writelines(f"data/obj_train_data/{name}\n" for name in images)
        names = "".join(f"{' '.join(label.split())}\n" for label in annotations.labels)
        (folder / "obj.names").write_text(names, "utf-8")
        (folder / "obj.data").write_text(
            f"classes = {len(annotations.labels)}\ntrain = data/train.txt\n"
            "names = data/obj.names\nbackup = backup/\n",
            "utf-8",
        )


def read_yolo(path: Path, size_of: SizeOf) -> list[ImportedFilm]:
    """Read a folder of either layout.

    Only films with a text file, even an empty one, are in the result: others were not annotated.

    Args:
        path: the folder.
        size_of: the size of the film of a name, as the files state shares of it.

    Raises:
        DataError: no class names, a film of unknown size, or errors of the files, all together.
    """
    labels = _class_names(path)
    folders = [path / name for name in LABEL_FOLDERS if (path / name).is_dir()]
    if not folders:
        raise file_error(path, f"a folder {' or '.join(LABEL_FOLDERS)}", "none")
    films: list[ImportedFilm] = []
    problems: list[Problem] = []
    for file in sorted(folders[0].rglob("*.txt")):
        name = file.relative_to(folders[0]).with_suffix("").as_posix()
        rows = []
        for line, content in enumerate(_lines(file, problems), start=1):
            try:
                if content.strip():
                    rows.append(_parsed(content.split(), len(labels)))
            except BadField as error:
                problems.append(
                    Problem(f"{name}.txt", error.expected, error.got, line, error.field)
                )
        try:
            films.append(_film(name, np.array(rows).reshape(-1, 6), labels, size_of))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError.from_problems(problems)
    return films


def _film(name: str, rows: Floats, labels: list[str], size_of: SizeOf) -> ImportedFilm:
    """A film from its rows (N, 6): class, centre, size, confidence."""
    width, height = size_of(name)
    corners = _corners(rows[:, 1:5]) * np.array([width, height] * 2, dtype=np.float64)
    return ImportedFilm(
        name=name,
        boxes=tuple(
            ImportedBox((x1, y1, x2, y2), labels[int(number)], score)
            for (x1, y1, x2, y2), number, score in zip(
                corners.tolist(), rows[:, 0].tolist(), rows[:, 5].tolist(), strict=True
            )
        ),
        size=(width, height),
    )


def _write_labels(annotations: Annotations, folder: Path, options: FormatOptions) -> Iterator[str]:
    """Write the text files; yields the file name of each film when its file is written."""
    names = SafeNames(annotations.film_names(), replace_dots=options.replace_dots)
    classes = {label: number for number, label in enumerate(annotations.labels)}
    folder.mkdir()
    for film in annotations:
        name = names.of(film.name)
        path = folder / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = np.array([film.width, film.height] * 2, dtype=np.float64)
        shares = _centres(film.xyxy / size)
        lines = []
        for place, row in enumerate(shares.tolist()):
            cells = [str(classes[film.labels[place]]), *(f"{value:.12g}" for value in row)]
            if options.yolo_confidence:
                cells.append(f"{_confidence(film, place):.12g}")
            lines.append(" ".join(cells) + "\n")
        path.write_text("".join(lines), "utf-8")
        yield name + split_suffix(film.name)[1]


def _confidence(film: FilmAnnotation, place: int) -> float:
    score = film.score(place)
    if score is None:
        raise DataError.from_problems(
            [Problem("boxes", "a score for each box", f"none on {film.name!r}", field="score")]
        )
    return score


def _centres(xyxy: Floats) -> Floats:
    """(N, 4) corners to centre and size."""
    low, high = xyxy[:, :2], xyxy[:, 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=1)


def _corners(cxcywh: Floats) -> Floats:
    """(N, 4) centre and size to corners; the inverse of `_centres`."""
    centre, size = cxcywh[:, :2], cxcywh[:, 2:]
    return np.concatenate([centre - size / 2, centre + size / 2], axis=1)


def _parsed(cells: list[str], classes: int) -> list[float]:
    if len(cells) not in (5, 6):
        raise BadField("", "class cx cy w h and perhaps a confidence", f"{len(cells)} columns")
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError as error:
        raise BadField("", "numbers", " ".join(cells)) from error
    if not np.isfinite(numbers).all():
        raise BadField("", "finite numbers", " ".join(cells))
    if not (re.fullmatch(r"\d+", cells[0]) and int(cells[0]) < classes):
        raise BadField("class", f"a whole number below {classes}", cells[0])
    return numbers if len(numbers) == 6 else [*numbers, float("nan")]


def _lines(file: Path, problems: list[Problem]) -> list[str]:
    try:
        return file.read_text("utf-8-sig").splitlines()
    except (UnicodeDecodeError, OSError) as error:
        problems.append(Problem(file.name, "a text file", f"{error!r:.100}"))
        return []


def _class_names(path: Path) -> list[str]:
    """The classes of `data.yaml` (a list or numbered) or `obj.names`."""
    data = path / "data.yaml"
    if not data.is_file():
        try:
            return (path / "obj.names").read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            expected = "data.yaml or obj.names with the class names"
            raise file_error(path, expected, str(error)) from error
    try:
        content = read_located_yaml(data).plain()
    except ConfigError as error:  # also anchors and aliases, which can grow without end
        raise DataError(str(error)) from error
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict) and set(names) == {str(number) for number in range(len(names))}:
        names = [names[str(number)] for number in range(len(names))]
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return names
    raise file_error(data, "names: a list, or numbered from 0", f"{names!r:.100}")
