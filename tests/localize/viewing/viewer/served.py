"""A running viewer with a planted model, for requests and for the browser."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from pathlib import Path

import numpy as np

from attributes.lexicon.load import load_lexicon
from localize.grounding.report_grounding import GroundedSentence, ReportGrounding
from localize.grounding.tables import GroundingWriter
from localize.inference.film_regions import FilmRegions
from localize.viewing.gallery.cards import Card, CardBox
from localize.viewing.viewer.corrections import Corrections
from localize.viewing.viewer.grounded_films import grounded_films
from localize.viewing.viewer.keyword_query import read_query
from localize.viewing.viewer.server import ViewerServer
from localize.viewing.viewer.viewer_films import ViewerFilms, predicted_films
from tests.localize.predictions import make_prediction
from tests.localize.viewing.gallery.films import save_films

IDS = ("first", "second", "third")
KEYWORDS = ("left", "right", "lower", "hazy", "mild")
LEFT_TEXT = "Left <b>opacity</b>, no effusion."
RIGHT_TEXT, TAIL_TEXT = "Small right nodule.", "Dictated at noon."
LEFT_BOX, RIGHT_BOX = (300, 300, 400, 450), (100, 50, 200, 150)


def planted_regions() -> FilmRegions:
    """The head contradicts the positions, knows hazy, and nothing of mild."""
    return FilmRegions(
        width=512,
        height=512,
        xyxy=np.array([LEFT_BOX, RIGHT_BOX], dtype=np.float64),
        log_alpha=np.log([0.6, 0.4]),
        alpha=np.array([0.6, 0.4]),
        detector_scores=np.array([0.5, 0.5]),
        region_attributes=np.array([[0.1, 0.9, 0.1, 0.8, 0.21], [0.9, 0.1, 0.9, 0.2, 0.2]]),
        fused=np.zeros((2, 4)),
        attributes=np.zeros(5),
        film_sum=0.0,
        film_max=0.0,
        film_tail=np.zeros(4),
    )


class PlantedModel:
    """Two regions: a hazy one low on the patient's left, another high on the right."""

    keywords = KEYWORDS

    def card(self, image_id: str, film: Path) -> Card:
        box = CardBox((10.0, 20.0, 110.0, 220.0), 0.7, "opacity", ("right",))
        return Card(image_id, 512, 512, 0.8, 2.0, 1.0, 3.0, (box,), None, (0.1, 0.9, 0.2, 0.5, 0.5))

    def regions(self, film: Path) -> FilmRegions:
        return planted_regions()

    def query(self, text: str):
        return read_query(text, load_lexicon("en"))


@contextlib.contextmanager
def served(folder: Path, *, has_model: bool = True, ids=IDS):
    """A server of three films, the first with two boxes; corrections go to `folder/out`."""
    prediction = make_prediction(
        ids,
        [(ids[0], 100, 100, 200, 200, 0.9), (ids[0], 300, 300, 400, 400, 0.2)],
        p_pneumonia=[0.9, 0.5, 0.1],
        attributes={name: [0.9, 0.5, 0.1] for name in KEYWORDS},
        severity=[3.0, 1.0, 0.0],
    )
    films = save_films(folder / "films", ids)
    server = ViewerServer(
        ViewerFilms(predicted_films(prediction, films)),
        Corrections(folder / "out", "tester"),
        PlantedModel() if has_model else None,
        keywords=KEYWORDS,
    )
    with running(server):
        yield server


@contextlib.contextmanager
def served_reports(folder: Path):
    """A server of two grounded films of 512 x 512 pixels; corrections go to `folder/out`."""
    with GroundingWriter(folder / "grounded") as writer:
        for name in ("first", "second"):
            rows = (
                grounded(LEFT_TEXT, "opacity", [LEFT_BOX, (320, 320, 420, 470)]),
                grounded(LEFT_TEXT, "effusion", why="absent"),
                grounded(RIGHT_TEXT, "nodule", [RIGHT_BOX], start=40),
                grounded(TAIL_TEXT, "", why="not visual", start=80),
            )
            writer.write(ReportGrounding(name, name, f"{name}.png", 512, 512, rows))
        no_film = (grounded(LEFT_TEXT, "opacity", why="no film"),)
        writer.write(ReportGrounding("third", "", "", 0, 0, no_film))
        writer.finish({})
    files = save_films(folder / "films", ("first", "second"))
    films = grounded_films(folder / "grounded", files)
    server = ViewerServer(
        ViewerFilms(films), Corrections(folder / "out", "tester"), None, keywords=()
    )
    with running(server):
        yield server


def grounded(text, finding, boxes=(), *, why="", start=0) -> GroundedSentence:
    """A finding of a sentence."""
    return GroundedSentence(
        section="findings",
        sentence=text,
        start=start,
        end=start + len(text),
        finding=finding,
        words=text[:5] if finding else "",
        assertion="" if not finding else "absent" if why else "present",
        xyxy=np.array(boxes, np.float64).reshape(-1, 4),
        scores=np.linspace(0.6, 0.4, len(boxes)),
        methods=("detector",) * len(boxes),
        why_none=why,
    )


@contextlib.contextmanager
def running(server: ViewerServer):
    """The server in a thread of its own."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ask(server, path, *, method="GET", body=None, headers=None, has_key=True):
    """Status, content and headers of a request; JSON is parsed."""
    connection = http.client.HTTPConnection("127.0.0.1", server.access.port, timeout=20)
    sent = {"X-Key": server.access.key} if has_key else {}
    try:
        connection.request(method, path, body=body, headers={**sent, **(headers or {})})
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    if response.headers.get_content_type() == "application/json":
        content = json.loads(content)
    return response.status, content, response.headers
