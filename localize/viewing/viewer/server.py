"""`ViewerServer`: the viewer's page and its few requests, on 127.0.0.1 only."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from data_manifests.films.read_film import read_film
from data_manifests.support.errors import LocalizeError
from localize.prediction.drawing import film_jpeg
from localize.viewing.viewer.access_check import ADDRESS, AccessCheck
from localize.viewing.viewer.corrections import Corrections, PageBox
from localize.viewing.viewer.region_query import FoundRegions, find_regions
from localize.viewing.viewer.viewer_films import ViewerFilms

if TYPE_CHECKING:  # torch takes seconds to import, and corrections need none
    from localize.inference.film_regions import FilmRegions
    from localize.viewing.viewer.film_model import FilmModel

LOGGER = logging.getLogger(__name__)
PAGE_FILES = {
    "/": ("viewer.html", "text/html"),
    "/viewer.css": ("viewer.css", "text/css"),
    "/viewer.js": ("viewer.js", "text/javascript"),
    "/box_editor.js": ("box_editor.js", "text/javascript"),
    "/film_view.js": ("film_view.js", "text/javascript"),
    "/region_map.js": ("region_map.js", "text/javascript"),
    "/report.js": ("report.js", "text/javascript"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}
MAX_FILM_BYTES = 256 * 1024 * 1024  # 64 million pixels of 16 bit, twice
MAX_JSON_BYTES = 1024 * 1024
PICTURE_SIDE = 1600
REMEMBERED_FILMS, REMEMBERED_FULL = 32, 2
WAIT_S = 60.0  # for a client that stopped sending


class ViewerServer(ThreadingHTTPServer):
    """The viewer: its films, a model or none, and a folder for corrections."""

    daemon_threads = True

    def __init__(
        self,
        films: ViewerFilms,
        corrections: Corrections,
        model: FilmModel | None,
        *,
        keywords: tuple[str, ...],
        least_score: float = 0.0,
        port: int = 0,
    ) -> None:
        super().__init__((ADDRESS, port), _Handler)
        self.keywords = keywords
        self.least_score = least_score  # of the boxes that the page shows at first
        self.films = films
        self.corrections = corrections
        self.model = model
        self.access = AccessCheck.for_port(self.server_address[1])
        # A number always means the same film, so pictures and answers can be cached.
        self.picture = lru_cache(REMEMBERED_FILMS)(self._picture)
        self.full_picture = lru_cache(REMEMBERED_FULL)(self._full_picture)
        self._regions = lru_cache(REMEMBERED_FILMS)(self._film_regions)

    def server_close(self) -> None:
        """Stop listening and remove the dropped films."""
        super().server_close()
        self.films.close()

    def _picture(self, number: int) -> bytes:
        return film_jpeg(self._pixels(number), PICTURE_SIDE)

    def _full_picture(self, number: int) -> bytes:
        """The film in its own resolution, for zooming in."""
        pixels = self._pixels(number)
        return film_jpeg(pixels, max(pixels.shape))

    def _pixels(self, number: int) -> NDArray[np.float32]:
        file = self.films[number].file
        if file is None:
            raise IndexError("expected the film's file, got none; give --films")
        return read_film(file).pixels

    def found_regions(self, number: int, words: Sequence[str]) -> FoundRegions:
        """How the regions of a film fit some keywords.

        Raises:
            IndexError: no such film, or no model, or no file of the film.
        """
        return find_regions(self._regions(number), self.keywords, words)

    def _film_regions(self, number: int) -> FilmRegions:
        file = self.films[number].file
        if self.model is None or file is None:
            raise IndexError("expected a model and the film's file; give --model and --films")
        return self.model.regions(file)


class _BadRequest(Exception):
    """A request that the page does not make."""


class _Handler(BaseHTTPRequestHandler):
    """One request. Its errors are JSON: {"error": "..."}."""

    server: ViewerServer
    protocol_version = "HTTP/1.1"
    server_version = "pneumoloc"
    sys_version = ""
    timeout = WAIT_S

    def do_GET(self) -> None:
        self._answer(self._GET)

    def do_POST(self) -> None:
        self._answer(self._POST)

    def log_message(self, format: str, *args: object) -> None:
        """No access log, as addresses hold the key."""

    def _answer(self, routes: dict[str, Callable[[_Handler], None]]) -> None:
        address = urlsplit(self.path)
        self._query = parse_qs(address.query)
        try:
            page_file = PAGE_FILES.get(address.path) if self.command == "GET" else None
            # The page's script and style are fetched without the key; they hold nothing secret.
            key = self._text("key") if address.path in ("/", "/api/picture") else ""
            guard = self.server.access
            is_open = page_file is not None and address.path != "/"
            refused = guard.refusal(self.headers, guard.key if is_open else key)
            if refused is not None:
                self._fail(HTTPStatus.FORBIDDEN, refused)
            elif page_file is not None:
                name, kind = page_file
                content = files(__package__).joinpath(name).read_bytes()
                self._send(HTTPStatus.OK, content, f"{kind}; charset=utf-8")
            elif address.path in routes:
                routes[address.path](self)
            else:
                self._fail(HTTPStatus.NOT_FOUND, "no such page")
        except (_BadRequest, ValueError) as error:
            self._fail(HTTPStatus.BAD_REQUEST, str(error))
        except IndexError as error:
            self._fail(HTTPStatus.NOT_FOUND, str(error))
        except LocalizeError as error:
            self._fail(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        except OSError as error:
            LOGGER.warning("viewer: %s", error)
            self._fail(HTTPStatus.INTERNAL_SERVER_ERROR, error.strerror or "failed to write")

    # --- requests -------------------------------------------------------------------------------

    def _films(self) -> None:
        server = self.server
        listed = []
        for number in range(len(server.films)):
            film = server.films[number]
            listed.append(
                {
                    "number": number,
                    "id": film.card.id,
                    "p_pneumonia": film.card.p_pneumonia,
                    "is_reviewed": server.corrections.of(film) is not None,
                }
            )
        self._json(
            {
                "films": listed,
                "keywords": server.keywords,
                "labels": sorted({*server.films.labels(), *server.corrections.labels()}),
                "annotator": server.corrections.annotator,
                "least_score": server.least_score,
                "corrections": str(server.corrections.file),
                "has_model": server.model is not None,
            }
        )

    def _film(self) -> None:
        film = self.server.films[self._number()]
        drawn = self.server.corrections.of(film)
        self._json(
            {
                "card": asdict(film.card),
                "corrected": None if drawn is None else [asdict(box) for box in drawn],
                "has_picture": film.file is not None,
                "report": None if film.report is None else asdict(film.report),
            }
        )

    def _picture(self) -> None:
        number = self._number()
        server = self.server
        picture = server.full_picture if self._text("full") == "1" else server.picture
        self._send(HTTPStatus.OK, picture(number), "image/jpeg")

    def _found_regions(self) -> None:
        words = [word for word in self._text("words").split(",") if word in self.server.keywords]
        self._json(asdict(self.server.found_regions(self._number(), words)))

    def _read_query(self) -> None:
        if self.server.model is None:
            raise IndexError("expected a model; give --model")
        self._json(asdict(self.server.model.query(self._text("text"))))

    def _drop(self) -> None:
        if self.server.model is None:
            raise IndexError("expected a model to read dropped films with; give --model")
        name = unquote(self.headers.get("X-Name", "film"))
        image_id, file = self.server.films.keep(name, self._body(MAX_FILM_BYTES))
        number = self.server.films.add(self.server.model.card(image_id, file), file)
        self._json({"number": number})

    def _save(self) -> None:
        film = self.server.films[self._number()]
        path = self.server.corrections.save(film, _page_boxes(self._body(MAX_JSON_BYTES)))
        saved = self.server.corrections.of(film) or []
        boxes = [asdict(box) for box in saved]
        reviewed = len(self.server.corrections)
        self._json({"path": str(path), "reviewed": reviewed, "boxes": boxes})

    def _export(self) -> None:
        self._body(MAX_JSON_BYTES)
        self._json({"path": str(self.server.corrections.export(self._text("format")))})

    _GET: ClassVar[dict[str, Callable[[_Handler], None]]] = {
        "/api/films": _films,
        "/api/film": _film,
        "/api/picture": _picture,
        "/api/regions": _found_regions,
        "/api/query": _read_query,
    }
    _POST: ClassVar[dict[str, Callable[[_Handler], None]]] = {
        "/api/drop": _drop,
        "/api/save": _save,
        "/api/export": _export,
    }

    # --- reading and sending --------------------------------------------------------------------

    def _text(self, name: str) -> str:
        return self._query.get(name, [""])[0]

    def _number(self) -> int:
        text = self._text("number")
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise _BadRequest("number: expected the number of a film")
        return int(text)

    def _body(self, most: int) -> bytes:
        """The body of a request of a stated length, not more than `most` bytes."""
        stated = self.headers.get("Content-Length", "")
        if not (stated.isascii() and stated.isdecimal() and int(stated) <= most):
            self.close_connection = True  # the body stays unread
            raise _BadRequest(f"expected a body of at most {most // 1024} KiB")
        body = self.rfile.read(int(stated))
        if len(body) != int(stated):
            self.close_connection = True
            raise _BadRequest("the body ended early")
        return body

    def _json(self, content: dict[str, object]) -> None:
        text = json.dumps(content, allow_nan=False)
        self._send(HTTPStatus.OK, text.encode("ascii"), "application/json")

    def _fail(self, status: HTTPStatus, message: str) -> None:
        if self.command == "POST":
            self.close_connection = True  # whatever was not read of the body
        text = json.dumps({"error": message})
        self._send(status, text.encode("ascii"), "application/json")

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _page_boxes(body: bytes) -> list[PageBox]:
    """Boxes from JSON.

    Raises:
        ValueError: not a list of {"xyxy": [x1, y1, x2, y2], "label": "..."}, perhaps with
            "is_confirmed": true and "sentence": "...".
    """
    try:
        content = json.loads(body)
    except RecursionError as error:
        raise ValueError("expected JSON of a few levels, got too many") from error
    expected = ValueError('expected [{"xyxy": [x1, y1, x2, y2], "label": "..."}, ...]')
    if not isinstance(content, list):
        raise expected
    boxes = []
    for row in content:
        if not isinstance(row, dict) or not isinstance(row.get("label"), str):
            raise expected
        xyxy = row.get("xyxy")
        if not (
            isinstance(xyxy, list)
            and len(xyxy) == 4
            and all(isinstance(v, int | float) and not isinstance(v, bool) for v in xyxy)
        ):
            raise expected
        try:
            x1, y1, x2, y2 = map(float, xyxy)
        except OverflowError as error:  # whole numbers of hundreds of digits
            raise expected from error
        is_confirmed, sentence = row.get("is_confirmed") is True, row.get("sentence", "")
        if not isinstance(sentence, str):
            raise expected
        corners = (x1, y1, x2, y2)
        boxes.append(PageBox(corners, row["label"], is_confirmed=is_confirmed, sentence=sentence))
    return boxes
