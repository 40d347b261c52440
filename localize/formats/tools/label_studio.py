"""Label Studio: pre-annotations with their labeling configuration, and the export that comes back.

https://labelstud.io/guide/predictions. Boxes are percent of the film (0 to 100) from the top-left
corner. All boxes of a film go into one prediction: of several only one is shown (issue 8012).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import numpy as np

from data_manifests.support.atomic import atomic_path, write_text
from data_manifests.support.errors import DataError, Problem
from localize.formats.hub.annotations import Annotations, FilmAnnotation
from localize.formats.hub.format_options import FormatOptions
from localize.formats.hub.reading import BadField, box_array, file_error, get, load_json, number
from localize.formats.hub.writing import write_json_list, xml_attribute

Row = dict[str, Any]  # Any: a JSON object of the format
LABEL, KEYWORDS, SEVERITY, IMAGE = "label", "attributes", "severity", "image"


def write_label_studio(annotations: Annotations, target: Path, options: FormatOptions) -> None:
    """Write tasks with predictions, and the labeling configuration as `<target stem>.config.xml`.

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
        f'  <Image name="{IMAGE}" value="$image" zoom="true" zoomControl="true"/>',
        f'  <RectangleLabels name="{LABEL}" toName="{IMAGE}">',
        *(f"    <Label value={xml_attribute(label)}/>" for label in annotations.labels),
        "  </RectangleLabels>",
    ]
    if annotations.keywords:
        lines += [
            f'  <Choices name="{KEYWORDS}" toName="{IMAGE}" choice="multiple" perRegion="true">',
            *(f"    <Choice value={xml_attribute(word)}/>" for word in annotations.keywords),
            "  </Choices>",
        ]
    lines += [f'  <Number name="{SEVERITY}" toName="{IMAGE}" min="0" max="8" step="0.1"/>']
    return "\n".join([*lines, "</View>"]) + "\n"


def read_label_studio(path: Path) -> list[FilmAnnotation]:
    """Read Label Studio's JSON export: the newest annotation of each task that was not cancelled.

    Tasks without an annotation were not looked at and are left out.

    Raises:
        DataError: all faults of the file together; a rotated box is one.
    """
    content = load_json(path)
    if not isinstance(content, list):
        raise file_error(path, "a list of tasks (export as JSON, not JSON-MIN)", "another")
    films, problems = [], []
    for place, task in enumerate(content):
        try:
            data = get(task, "data", dict, "the task's data")
            done = [a for a in task.get("annotations") or [] if not a.get("was_cancelled")]
            if done:
                last = max(
                    done, key=lambda a: str(a.get("updated_at") or a.get("created_at") or "")
                )
                films.append(_parsed_film(data, last))
        except BadField as fault:
            problems.append(fault.problem(str(path), f"task[{place}]"))
        except AttributeError as error:
            problems.append(Problem(str(path), "objects", str(error), field=f"task[{place}]"))
    if problems:
        raise DataError.from_problems(problems)
    return films


def _tasks(annotations: Annotations, image_url: str) -> Iterator[Row]:
    for film in annotations:
        yield {
            "data": {
                "image": image_url + quote(film.name, errors="replace"),
                "film": film.name,
                "image_id": film.image_id,
            },
            "predictions": [film_prediction(film, annotations.model, annotations.keywords)],
        }


def film_prediction(film: FilmAnnotation, model: str, keywords: tuple[str, ...]) -> Row:
    """One film as a Label Studio prediction; `keywords` are the words that the project knows."""
    known = set(keywords)
    result = [part for place in range(len(film)) for part in _regions(film, place, known)]
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
    return {"model_version": model, "score": _film_score(film), "result": result}


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
    }
    score = float(film.scores[place])
    yield {
        **shared,
        "type": "rectanglelabels",
        "from_name": LABEL,
        "value": {**value, "rectanglelabels": [film.labels[place]]},
        **({"score": min(max(score, 0.0), 1.0)} if np.isfinite(score) else {}),
    }
    words = [word for word in film.keywords[place] if word in known]
    if words:
        yield {
            **shared,
            "type": "choices",
            "from_name": KEYWORDS,
            "value": {**value, "choices": words},
        }


def _film_score(film: FilmAnnotation) -> float:
    if film.p_pneumonia is not None:
        return film.p_pneumonia
    known = film.scores[np.isfinite(film.scores)]
    return float(np.clip(known.max(), 0, 1)) if len(known) else 0.0


def _region_id(film: FilmAnnotation, place: int) -> str:
    text = f"{film.image_id}\n{film.name}\n{place}"
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:10]


def _parsed_film(data: Row, annotation: Row) -> FilmAnnotation:
    regions = get(annotation, "result", list, "a list of regions")
    words: dict[object, list[str]] = {}
    severity = None
    boxes, labels, scores, region_ids = [], [], [], []
    size = (0, 0)
    for region in regions:
        kind = region.get("type")
        value = region.get("value") or {}
        if kind == "rectanglelabels":
            size = (
                get(region, "original_width", int, "the film's width"),
                get(region, "original_height", int, "the film's height"),
            )
            boxes.append(_parsed_box(value, size))
            names = value.get("rectanglelabels") or [""]
            labels.append(str(names[0]))
            scores.append(number(region["score"], "score") if region.get("score") else np.nan)
            region_ids.append(region.get("id"))
        elif kind == "choices":
            words[region.get("id")] = [str(word) for word in value.get("choices") or []]
        elif kind == "number":
            severity = number(value.get("number"), "number")
        elif kind not in ("textarea", "rating", "relation", "taxonomy"):
            raise BadField("type", "rectanglelabels", kind)
    return FilmAnnotation(
        name=_film_name(data),
        width=size[0],
        height=size[1],
        xyxy=box_array(boxes),
        labels=tuple(labels),
        scores=np.array(scores, dtype=np.float64),
        keywords=tuple(tuple(words.get(region_id, ())) for region_id in region_ids),
        image_id=str(data.get("image_id") or ""),
        annotators=(_annotator(annotation.get("completed_by")),) * len(boxes),
        severity=severity,
    )


def _parsed_box(value: Row, size: tuple[int, int]) -> list[float]:
    x, y, width, height = (
        number(value.get(k), f"value.{k}") for k in ("x", "y", "width", "height")
    )
    if value.get("rotation"):
        raise BadField("value.rotation", "0 (an upright box)", value["rotation"])
    scale = (size[0] / 100, size[1] / 100)
    return [x * scale[0], y * scale[1], (x + width) * scale[0], (y + height) * scale[1]]


def _film_name(data: Row) -> str:
    """The name we wrote into the task, or what the image's URL says."""
    if isinstance(data.get("film"), str):
        return str(data["film"])
    url = urlsplit(get(data, "image", str, "a URL"))
    local = parse_qs(url.query).get("d")
    name = local[0] if local else unquote(url.path).lstrip("/")
    if name.startswith("data/upload/"):  # data/upload/<project>/<8 hex digits>-<file name>
        name = name.rsplit("/", 1)[-1].split("-", 1)[-1]
    return name


def _annotator(completed_by: object) -> str:
    """The user's number; names and addresses stay behind."""
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("id")
    return "" if completed_by is None else f"label-studio-{completed_by}"
