"""The report beside the film in a real browser: pointing, choosing and drawing for a sentence."""

from __future__ import annotations

import pytest

from localize.formats.tools.coco import read_coco
from tests.localize.viewing.viewer.served import LEFT_TEXT, RIGHT_TEXT, TAIL_TEXT, served_reports
from tests.localize.viewing.viewer.test_viewer_in_chromium import drag, element, press, wait

pytestmark = pytest.mark.slow


@pytest.fixture
def page(tmp_path, browser):
    with served_reports(tmp_path) as server:
        browser.get(server.access.url())
        wait(browser, "return document.querySelectorAll('.box').length === 3")
        yield browser


def bright(page):
    """The boxes that stand out."""
    return page.execute_script(
        "return [...document.querySelectorAll('.box:not(.off)')].map(b => Number(b.dataset.index))"
    )


def test_a_sentence_shows_its_boxes_and_gets_new_ones(page, tmp_path):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    sentences = page.find_elements("css selector", "#report .sentence")
    assert LEFT_TEXT in sentences[0].text, "markup of a report is text"
    assert "effusion: absent" in sentences[0].text
    assert "not visual" in sentences[2].text
    assert bright(page) == [0, 1, 2]
    ActionChains(page).move_to_element(sentences[1]).perform()
    assert len(bright(page)) == 1
    ActionChains(page).move_to_element(element(page, "#title")).perform()
    assert bright(page) == [0, 1, 2]

    press(page, "t")  # with the keyboard: the first sentence, its two boxes
    assert len(bright(page)) == 2
    assert element(page, "#label").get_attribute("value") == "opacity"
    press(page, "t", "t")  # the last one has no box
    assert bright(page) == []
    drag(page, (40, 400), (90, 480))
    press(page, Keys.ESCAPE)
    assert len(bright(page)) == 4

    press(page, "T", "T")  # back to the nodule, and its box to the first sentence
    index = bright(page)[0]
    box = element(page, f".box[data-index='{index}']")
    page.execute_script("arguments[0].focus()", box)
    assert element(page, "#sentence").get_attribute("value") == RIGHT_TEXT
    assert "on" in sentences[1].get_attribute("class").split()
    page.execute_script(
        "const s = document.getElementById('sentence'); s.value = arguments[0];"
        "s.dispatchEvent(new Event('change'))",
        LEFT_TEXT,
    )
    press(page, "s")
    wait(page, "return document.getElementById('reviewed').textContent.startsWith('1 ')")
    (film,) = read_coco(tmp_path / "out" / "corrections.tester.coco.json")
    assert sorted(one.sentence for one in film.boxes) == sorted([TAIL_TEXT, *[LEFT_TEXT] * 3])
    assert page.get_log("browser") == []
