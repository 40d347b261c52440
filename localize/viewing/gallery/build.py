"""`build_gallery`: a prediction as one self-contained HTML file."""

from __future__ import annotations

import base64
import hashlib
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from importlib.resources import files
from itertools import islice
from pathlib import Path

from jinja2 import Environment, FunctionLoader
from markupsafe import Markup

from data_manifests.support.atomic import atomic_path
from data_manifests.support.errors import DataError
from data_manifests.support.progress_bar import progress_bar
from data_manifests.tables.manifest import Manifest
from localize.prediction.prediction_folder import PredictedFilms
from localize.viewing.gallery.cards import Card, film_cards, skipped_films
from localize.viewing.gallery.thumbnail import thumbnails

LOGGER = logging.getLogger(__name__)
# Few films get larger pictures: (films up to, longer side in pixels). 500 films of 320 px: 9 MB.
PICTURE_SIDES = ((60, 640), (200, 448))
SMALLEST_SIDE = 320
ALL_PIXELS = 1 << 16  # px: longer than any film, so that none is made smaller
CALL_HELP = (
    "yes, no or unsure, from two thresholds on P(pneumonia) that belong to the model: on "
    "validation films at most 10 % of those with an opacity were called no, and at most 10 % of "
    "those without one yes. Compare P with these thresholds, not with 0.5: P = 0.22 can be yes "
    "and 0.07 unsure. The call does not depend on how many films show an opacity."
)
FIRST_PICTURES = 12  # stand before the script, so that they are seen while the rest is read


def build_gallery(
    prediction: PredictedFilms,
    films: Mapping[str, Path],
    target: Path,
    *,
    manifest: Manifest | None = None,
    limit: int = 500,
    all_boxes: bool = False,
    full_resolution: bool = False,
) -> Path:
    """Write the page of a prediction; returns its path.

    Args:
        prediction: its first `limit` predicted films become cards, skipped films are listed.
        films: film file of each `image_id`; a card without a readable file has no picture.
        target: the HTML file, written whole or not at all.
        manifest: gives the true boxes of the films that it has.
        all_boxes: the page starts with all boxes, not those from the model's operating point on.
        full_resolution: pictures keep all pixels of their films; the file grows accordingly.

    Raises:
        DataError: no film was predicted, or not one of them is in `films`.
    """
    cards = film_cards(prediction, manifest, limit=limit)
    if not cards:
        raise DataError("prediction: expected at least one film with status ok, got none")
    paths = [films.get(card.id) for card in cards]
    if not any(paths):
        raise DataError(
            f"--films: expected the predicted films, such as {cards[0].id!r}, got none of "
            "them; give the manifest or folder that `pneumoloc predict` was run on"
        )
    fitting = next((side for most, side in PICTURE_SIDES if len(cards) <= most), SMALLEST_SIDE)
    side = ALL_PIXELS if full_resolution else fitting
    least_score = 0.0 if all_boxes else prediction.operating_point() or 0.0
    # Rounded down: a browser rounds the value of its slider, which else could hide boxes and films.
    least_score = math.floor(least_score * 1e6) / 1e6
    encoded = _encoded(
        progress_bar(thumbnails(paths, side), desc="gallery", total=len(cards), unit="film")
    )
    script, style = (_own(name) for name in ("gallery.js", "gallery.css"))
    stream = (
        page_environment(_own)
        .get_template("gallery.html")
        .stream(
            data=_page_data(cards, prediction, manifest, least_score),
            first_pictures=list(islice(encoded, FIRST_PICTURES)),
            other_pictures=encoded,
            skipped=skipped_films(prediction),
            has_truth=manifest is not None,
            has_calls=any(card.opacity for card in cards),
            has_warnings=any(card.warning for card in cards),
            call_help=CALL_HELP,
            has_severity=any(card.severity is not None for card in cards),
            predicted=sum(int((p.images["status"] == "ok").sum()) for p in prediction.parts()),
            shown=len(cards),
            keywords=prediction.shown_keywords(),
            script=Markup(script),  # noqa: S704 - our own file
            style=Markup(style),  # noqa: S704 - our own file
            script_hash=csp_hash(script),
            style_hash=csp_hash(style),
        )
    )
    with atomic_path(target) as temporary:
        with temporary.open("wb") as handle:
            stream.dump(handle, encoding="utf-8")
        size = temporary.stat().st_size
    LOGGER.info("%s: %d films, %.1f MB", target.name, len(cards), size / 1e6)
    return target


def _page_data(
    cards: list[Card], prediction: PredictedFilms, manifest: Manifest | None, least_score: float
) -> dict[str, object]:
    """What the page's script reads; the template escapes it."""
    return {
        "keywords": prediction.keywords(),
        "has_truth": manifest is not None,
        "call_help": CALL_HELP,
        "least_score": least_score,
        "films": [asdict(card) for card in cards],
    }


def _encoded(pictures: Iterable[bytes | None]) -> Iterator[str | None]:
    for picture in pictures:
        yield None if picture is None else base64.b64encode(picture).decode("ascii")


def page_environment(load: Callable[[str], str]) -> Environment:
    """Templates that `load` reads by their name; all text is escaped."""
    environment = Environment(loader=FunctionLoader(load), autoescape=True)
    # Escaped to ASCII, and <, >, & and ' too: no text of the data can end the element it stands in.
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment


def _own(name: str) -> str:
    """A file of this package."""
    return files(__package__).joinpath(name).read_text("utf-8")


def csp_hash(text: str) -> str:
    """The hash source of a Content-Security-Policy that lets exactly this text run."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
