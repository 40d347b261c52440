"""The page of reports beside their films: what it holds, and what pointing at a sentence shows."""

from __future__ import annotations

import numpy as np
import pytest

from data_manifests.support.errors import DataError
from localize.grounding.report_grounding import GroundedSentence, ReportGrounding
from localize.grounding.tables import GroundingWriter
from localize.viewing.grounding_page.build import build_grounding_page, page_film
from tests.localize.models import write_films

HOSTILE = "</li><script>document.title='x'</script>"


def row(text, start, boxes=(), finding="opacity", why="absent"):
    return GroundedSentence(
        "findings", text, start, start + len(text), finding, finding, start, start + 1,
        "present" if boxes else "absent", ("left",), np.array(boxes, float).reshape(-1, 4),
        np.linspace(0.9, 0.5, len(boxes)), ("detector",) * len(boxes), "" if boxes else why,
    )  # fmt: skip


@pytest.fixture
def page(tmp_path):
    film = ReportGrounding(
        "s1",
        "film0",
        "film0.png",
        160,
        120,
        (
            row("Left opacity with no effusion.", 0, [[90, 20, 140, 80], [20, 20, 60, 60]]),
            row("Left opacity with no effusion.", 0, finding="effusion"),
            row(HOSTILE, 40, [[5, 5, 50, 50]]),
        ),
    )
    with GroundingWriter(tmp_path / "out") as writer:
        writer.write(film)
        writer.write(ReportGrounding("s2", "", "", 0, 0, (row("No.", 0, why="no film"),)))
        writer.finish({})
    (path,) = write_films(tmp_path / "films", [(160, 120)])
    return build_grounding_page(tmp_path / "out", {"film0": path}, tmp_path / "page.html")


def test_findings_of_one_sentence_stand_together():
    film = ReportGrounding(
        "s", "i", "", 160, 120, (row("A.", 0, [[1, 1, 9, 9]]), row("A.", 0), row("B.", 3))
    )
    shown = page_film(film, None)
    assert [one.text for one in shown.sentences] == ["A.", "B."]
    assert shown.sentences[0].captions == ("opacity left: 0.90", "opacity left: absent")
    assert [box.sentence for box in shown.boxes] == [0]


def test_texts_of_a_report_are_escaped(page):
    text = page.read_text()
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text
    assert text.count("data:image/jpeg") == 1
    assert "no film" in text


def test_films_of_another_folder_are_refused(page, tmp_path):
    with pytest.raises(DataError, match="got none of them"):
        build_grounding_page(tmp_path / "out", {"other": tmp_path}, tmp_path / "x.html")


@pytest.mark.slow
def test_pointing_at_a_sentence_shows_its_boxes_alone(page, browser):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    browser.get(page.as_uri())
    first = browser.find_element(By.CSS_SELECTOR, "li[data-sentence='0']")
    ActionChains(browser).move_to_element(first).perform()
    shown = browser.find_elements(By.CSS_SELECTOR, "rect.on")
    assert [one.get_attribute("data-sentence") for one in shown] == ["0", "0"]
    box = browser.find_element(By.CSS_SELECTOR, "rect[data-sentence='1']")
    ActionChains(browser).move_to_element(box).perform()
    marked = browser.find_elements(By.CSS_SELECTOR, "li.on")
    assert [one.get_attribute("data-sentence") for one in marked] == ["1"]
    assert browser.title.startswith("pneumoloc")
    assert browser.get_log("browser") == []
