"""Label Studio: tasks with their labeling configuration, and its JSON export.

https://labelstud.io/guide/predictions. Boxes are percent of the film (0 to 100) from the top-left
corner. All boxes of a model go into one prediction: of several only one is shown (issue 8012). The
work of a person is an annotation, one for each person.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import numpy as np

from data_manifests.support.atomic import atomic_path, write_text
from data_manifests.support.errors import DataError
from localize.formats.hub.annotations import Annotations, FilmAnnotation
from localize.formats.hub.format_options import FormatOptions
from localize.formats.hub.imported_film import Corners, ImportedBox, ImportedFilm
from localize.formats.hub.reading import (
    BadField,
    file_error,
    film_size,
    get,
    load_json,
    mapping,
    number,
    objects,
)
from localize.formats.hub.writing import write_json_list, xml_attribute

Row = dict[str, Any]  # Any: a JSON object of the format
LABEL, KEYWORDS, SEVERITY, IMAGE = "label", "attributes", "severity", "image"
SENTENCE = "sentence"
# Where a region comes from, in Label Studio's words.
MODEL, PERSON = "prediction", "manual"


def write_label_studio(annotations: Annotations, target: Path, options: FormatOptions) -> None:
    """Write tasks, and the labeling configuration as `<target stem>.config.xml`.

    The boxes of a film that a person reviewed or drew are an annotation of that person; other boxes
    are a prediction.

    Paste the configuration into the project first, then import the tasks. Films must be reachable
    under `image_url` + name; Label Studio shows no DICOM, so give it PNG or JPEG films.
    """
    config = target.with_name(f"{target.stem}.config.xml")
    with atomic_path(target) as temporary:
        with temporary.open("w", encoding="utf-8") as handle:
            write_json_list(handle, _tasks(annotations, options.image_url))
        write_text(config, labeling_config(annotations))


def labeling_config(annotations: Annotations) -> str:
    """The labeling configuration that the tasks' `from_name` and `to_name` refer to."""
    lines = [
        "<View>",
        f'  <Image name="{IMAGE}" value="$image" zoom="true" zoomControl="true" '
        'brightnessControl="true" contrastControl="true"/>',
        f'  <RectangleLabels name="{LABEL}" toName="{IMAGE}">',
        *(f"    <Label value={xml_attribute(label)}/>" for label in annotations.labels),
        "  </RectangleLabels>",
    ]
    if annotations.keywords:
        # Not as choices: Label Studio's COCO converter makes a category of each choice.
        words = xml_attribute("; ".join(annotations.keywords))
        lines += [
            f'  <TextArea name="{KEYWORDS}" toName="{IMAGE}" perRegion="true" editable="true" '
            f"placeholder={words}/>"
        ]
    if annotations.has_sentences:
        lines += [
            f'  <TextArea name="{SENTENCE}" toName="{IMAGE}" perRegion="true" editable="true" '
            'placeholder="sentence of the report"/>'
        ]
    lines += [f'  <Number name="{SEVERITY}" toName="{IMAGE}" min="0" max="8" step="0.1"/>']
    return "\n".join([*lines, "</View>"]) + "\n"


def read_label_studio(path: Path) -> list[ImportedFilm]:
    """Read Label Studio's JSON export.

    Each person's newest annotation of a task that was not cancelled is a film of its own. Tasks
    without an annotation are not reviewed and are left out.

    Raises:
        DataError: all errors of the file together, such as rotated boxes, or no annotation at all.
    """
    content = load_json(path)
    if not isinstance(content, list):
        raise file_error(path, "a list of tasks (export as JSON)", "another JSON")
    if content and all(isinstance(task, dict) and "data" not in task for task in content):
        raise file_error(path, "Label Studio's JSON export", "JSON-MIN; export as JSON")
    films, problems = [], []
    for place, task in enumerate(content):
        try:
            data = get(task, "data", dict, "the task's data")
            newest: dict[str, Row] = {}
            for annotation in sorted(objects(task, "annotations"), key=_time):
                if not annotation.get("was_cancelled"):
                    newest[_annotator(annotation)] = annotation
            films += [_parsed_film(data, name, found) for name, found in newest.items()]
        except BadField as error:
            problems.append(error.problem(str(path), f"task[{place}]"))
    if problems:
        raise DataError.from_problems(problems)
    if not films:
        expected = "tasks with a submitted annotation"
        raise file_error(path, expected, f"none in {len(content)} tasks; submit them first")
    return films


def _tasks(annotations: Annotations, image_url: str) -> Iterator[Row]:
    for film in annotations:
        task: Row = {
            "data": {
                "image": image_url + quote(film.name, errors="replace"),
                "film": film.name,
                "image_id": film.image_id,
            }
        }
        # A box without a score is a person's.
        if film.is_reviewed or (len(film) and not np.isfinite(film.scores).any()):
            task["annotations"] = list(_film_annotations(film, annotations.keywords))
        else:
            task["predictions"] = [film_prediction(film, annotations.model, annotations.keywords)]
        yield task


def _film_annotations(film: FilmAnnotation, keywords: tuple[str, ...]) -> Iterator[Row]:
    """One annotation for each person, each with the unchanged boxes of the model."""
    names = dict.fromkeys(name for name in (*film.annotators, film.annotator) if name)
    for name in names or [""]:
        boxes = [k for k, owner in enumerate(film.annotators) if owner in ("", name)]
        row: Row = {"was_cancelled": False, "result": _result(film, boxes, keywords)}
        yield row | ({"annotator": name} if name else {})


def film_prediction(film: FilmAnnotation, model: str, keywords: tuple[str, ...]) -> Row:
    """One film as a Label Studio prediction; `keywords` are the words of the project."""
    result = _result(film, range(len(film)), keywords)
    score = _film_score(film)
    return {
        "model_version": model,
        "result": result,
        **({} if score is None else {"score": score}),
    }


def _result(film: FilmAnnotation, boxes: Sequence[int], keywords: tuple[str, ...]) -> list[Row]:
    """The regions of some boxes, and the film's severity."""
    known = set(keywords)
    result = [part for place in boxes for part in _regions(film, place, known)]
    if film.severity is not None:
        result.append(
            {
                "id": _region_id(film, -1),
                "type": "number",
                "from_name": SEVERITY,
                "to_name": IMAGE,
                "value": {"number": min(max(film.severity, 0.0), 8.0)},
            }
        )
    return result


def _regions(film: FilmAnnotation, place: int, known: set[str]) -> Iterator[Row]:
    x1, y1, x2, y2 = film.xyxy[place].tolist()
    value = {
        "x": 100 * x1 / film.width,
        "y": 100 * y1 / film.height,
        "width": 100 * (x2 - x1) / film.width,
        "height": 100 * (y2 - y1) / film.height,
        "rotation": 0,
    }
    shared = {
        "id": _region_id(film, place),
        "to_name": IMAGE,
        "original_width": film.width,
        "original_height": film.height,
        "image_rotation": 0,
        "origin": PERSON if film.annotators[place] else MODEL,
    }
    score = film.score(place)
    yield {
        **shared,
        "type": "rectanglelabels",
        "from_name": LABEL,
        "value": {**value, "rectanglelabels": [film.labels[place]]},
        **({} if score is None else {"score": min(max(score, 0.0), 1.0)}),
    }
    words = [word for word in film.keywords[place] if word in known]
    if words:
        yield {
            **shared,
            "type": "textarea",
            "from_name": KEYWORDS,
            "value": {**value, "text": ["; ".join(words)]},
        }
    if film.sentences[place]:
        yield {
            **shared,
            "type": "textarea",
            "from_name": SENTENCE,
            "value": {**value, "text": [film.sentences[place]]},
        }


def _film_score(film: FilmAnnotation) -> float | None:
    if film.p_pneumonia is not None:
        return film.p_pneumonia
    known = film.scores[np.isfinite(film.scores)]
    return float(np.clip(known.max(), 0, 1)) if len(known) else None


def _region_id(film: FilmAnnotation, place: int) -> str:
    text = f"{film.image_id}\n{film.name}\n{place}"
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:10]


def _parsed_film(data: Row, annotator: str, annotation: Row) -> ImportedFilm:
    words: dict[str, tuple[str, ...]] = {}
    sentences: dict[str, str] = {}
    severity, size = None, None
    found: list[tuple[str, Corners, str, float, bool]] = []
    get(annotation, "result", list, "a list of regions")
    for region in objects(annotation, "result"):
        kind = region.get("type")
        key = str(region.get("id"))
        value = mapping(region, "value")
        if kind == "rectanglelabels":
            size = film_size(region, "original_width", "original_height")
            label = next(iter(_texts(value, "rectanglelabels")), "")
            has_score = region.get("score") is not None
            # A box that a person changed has no score, even if the tool copied that of the model.
            is_changed = region.get("origin") in (PERSON, "prediction-changed")
            is_drawn = is_changed or not has_score
            score = np.nan if is_drawn else number(region["score"], "score")
            found.append((key, _parsed_box(value, size), label, score, is_drawn))
        elif kind == "choices":  # of other projects, and of our exports until version 0.1
            words[key] = _texts(value, "choices")
        elif kind == "textarea" and region.get("from_name") == KEYWORDS:
            text = ";".join(_texts(value, "text"))
            words[key] = tuple(word.strip() for word in text.split(";") if word.strip())
        elif kind == "textarea" and region.get("from_name") == SENTENCE:
            sentences[key] = " ".join(_texts(value, "text"))
        elif kind == "number":
            severity = number(value.get("number"), "number")
        elif kind not in ("textarea", "rating", "relation", "taxonomy"):
            raise BadField("type", "rectanglelabels", kind)
    return ImportedFilm(
        name=_film_name(data),
        boxes=tuple(
            ImportedBox(
                corners,
                label,
                score,
                words.get(key, ()),
                annotator if is_drawn else "",
                sentences.get(key, ""),
            )
            for key, corners, label, score, is_drawn in found
        ),
        size=size,
        annotator=annotator,
        image_id=str(data.get("image_id") or ""),
        severity=severity,
    )


def _texts(value: Row, key: str) -> tuple[str, ...]:
    """A text or a list of texts; empty where there is none."""
    found = get(value, key, (list, str, type(None)), "a list of texts") or []
    return (found,) if isinstance(found, str) else tuple(str(text) for text in found)


def _parsed_box(value: Row, size: tuple[int, int]) -> Corners:
    x, y, width, height = (
        number(value.get(k), f"value.{k}") for k in ("x", "y", "width", "height")
    )
    if value.get("rotation"):
        raise BadField("value.rotation", "0 (an upright box)", value["rotation"])
    scale = (size[0] / 100, size[1] / 100)
    return x * scale[0], y * scale[1], (x + width) * scale[0], (y + height) * scale[1]


def _film_name(data: Row) -> str:
    """The name in the task's data, or the path in the URL of its image."""
    if isinstance(data.get("film"), str):
        return str(data["film"])
    try:
        url = urlsplit(get(data, "image", str, "a URL"))
    except ValueError as error:
        raise BadField("image", "a URL", data["image"]) from error
    local = parse_qs(url.query).get("d")
    name = local[0] if local else unquote(url.path).lstrip("/")
    if name.startswith("data/upload/"):  # data/upload/<project>/<8 hex digits>-<file name>
        name = name.rsplit("/", 1)[-1].split("-", 1)[-1]
    return name


def _annotator(annotation: Row) -> str:
    """Who annotated: the name of our own export, else the user's number, never an address."""
    if isinstance(annotation.get("annotator"), str):
        return str(annotation["annotator"])
    completed_by = annotation.get("completed_by")
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("id")
    return "" if completed_by is None else f"label-studio-{completed_by}"


def _time(annotation: Row) -> str:
    return str(annotation.get("updated_at") or annotation.get("created_at") or "")
