"""Correcting boxes as a person does it, in a real browser."""

from __future__ import annotations

import time

import numpy as np
import pytest

from localize.formats.tools.coco import read_coco
from tests.localize.viewing.viewer.served import LEFT_BOX, RIGHT_BOX, ask, served

COCO_FILE = "corrections.tester.coco.json"
pytestmark = pytest.mark.slow


@pytest.fixture
def viewer(tmp_path):
    with served(tmp_path) as server:
        yield server


@pytest.fixture
def page(viewer, browser):
    browser.get(viewer.access.url())
    wait(browser, "return document.querySelectorAll('.box').length === 2")
    return browser


def wait(page, condition, seconds=20.0):
    """Until a script returns true; the last value is in the error."""
    end = time.monotonic() + seconds
    while not (value := page.execute_script(condition)):
        assert time.monotonic() < end, f"{condition}: {value}"
        time.sleep(0.05)


def element(page, css):
    from selenium.webdriver.common.by import By

    return page.find_element(By.CSS_SELECTOR, css)


def drag(page, start, end):
    """Press, move in steps and release; both points are pixels of the film."""
    from selenium.webdriver.common.action_chains import ActionChains

    points = page.execute_script(
        "const m = document.querySelector('.frame svg').getScreenCTM();"
        "return arguments[0].map(([x, y]) => [m.a * x + m.e, m.d * y + m.f])",
        [start, [(a + b) / 2 for a, b in zip(start, end, strict=True)], end],
    )
    actions = ActionChains(page, duration=50)
    pointer = actions.w3c_actions.pointer_action
    pointer.move_to_location(*map(round, points[0]))
    pointer.pointer_down()
    for point in points[1:]:
        pointer.move_to_location(*map(round, point))
    pointer.pointer_up()
    actions.perform()


def press(page, *keys):
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(page).send_keys(*keys).perform()


def drawn(page) -> list[list[float]]:
    return page.execute_script(
        "return [...document.querySelectorAll('.box')].map(b => ['x', 'y', 'width', 'height']"
        ".map(k => Number(b.getAttribute(k)))).map(([x, y, w, h]) => [x, y, x + w, y + h])"
    )


def saved(page, tmp_path, count) -> dict[str, list[list[float]]]:
    press(page, "s")
    wait(page, f"return document.getElementById('reviewed').textContent.startsWith('{count} ')")
    return {film.name: film.xyxy.tolist() for film in read_coco(tmp_path / "out" / COCO_FILE)}


def test_moved_resized_drawn_and_deleted_boxes_are_saved(page, tmp_path):
    from selenium.webdriver.common.keys import Keys

    assert drawn(page) == [[100, 100, 200, 200], [300, 300, 400, 400]]
    drag(page, (150, 150), (170, 180))  # move the first
    drag(page, (220, 230), (250, 250))  # by its lower right handle: larger
    drag(page, (40, 400), (90, 480))  # on the empty film: a new one
    drag(page, (350, 350), (350, 350))  # a click chooses the second
    press(page, Keys.DELETE)
    expected = [[120, 130, 250, 250], [40, 400, 90, 480]]
    assert np.abs(np.array(drawn(page)) - expected).max() < 2.0, drawn(page)
    assert element(page, "#changed").is_displayed()
    boxes = saved(page, tmp_path, 1)["first.png"]
    assert np.abs(np.array(boxes) - expected).max() < 2.0
    assert not element(page, "#changed").is_displayed()
    assert page.get_log("browser") == []


def test_boxes_stay_on_the_film_and_keep_a_size(page, tmp_path):
    drag(page, (350, 350), (511, 511))  # past the corner
    drag(page, (420, 40), (421, 90))  # thin
    press(page, "n")
    boxes = np.array(saved(page, tmp_path, 1)["first.png"])
    assert boxes[1].tolist() == [412, 412, 512, 512]
    assert (boxes[:, 2:] - boxes[:, :2]).min() >= 5.1
    assert np.abs(boxes[-1] - np.array([0.4, 0.4, 0.6, 0.6]) * 512).max() < 0.01


def test_click_is_no_edit_and_undo_takes_an_edit_back(page):
    from selenium.webdriver.common.keys import Keys

    drag(page, (150, 150), (150, 150))
    assert not element(page, "#changed").is_displayed()
    press(page, Keys.ARROW_RIGHT)
    assert drawn(page)[0][0] == pytest.approx(102.56)
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(page).key_down(Keys.CONTROL).send_keys("z").key_up(Keys.CONTROL).perform()
    assert drawn(page)[0] == [100, 100, 200, 200]


def test_proposals_below_the_least_score_are_not_saved(page, tmp_path):
    page.execute_script(
        "const e = document.getElementById('least'); e.value = 0.5;"
        "e.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    assert saved(page, tmp_path, 1)["first.png"] == [[100, 100, 200, 200]]


def test_saved_boxes_below_the_least_score_are_shown_and_saved_again(page, viewer, tmp_path):
    assert len(saved(page, tmp_path, 1)["first.png"]) == 2
    viewer.least_score = 0.5
    page.get(viewer.access.url())
    wait(page, "return document.getElementById('least-value').textContent === '0.50'")
    wait(page, "return document.querySelectorAll('.box').length === 2")
    press(page, "s")
    wait(page, "return document.getElementById('message').textContent === 'Saved 2 boxes.'")
    (film,) = read_coco(tmp_path / "out" / COCO_FILE)
    assert film.scores.tolist() == [0.9, 0.2]


def test_next_film_is_reviewed_without_boxes_and_all_are_exported(page, tmp_path):
    press(page, "j")
    wait(page, "return document.getElementById('title').textContent === 'second'")
    assert saved(page, tmp_path, 1) == {"second.png": []}
    element(page, "#export").click()
    wait(page, "return document.getElementById('message').textContent.startsWith('Exported')")
    assert (tmp_path / "out" / COCO_FILE).is_file()
    wait(page, "return document.querySelectorAll('#films i')[1].textContent === '✓'")


def test_phrase_shows_the_regions_that_fit(page):
    element(page, "#phrase").send_keys("left lower opacity\n")
    wait(page, "return document.querySelectorAll('.answer').length === 1")
    drawn = page.execute_script(  # in one call: the map may be drawn anew between two
        "const r = document.querySelector('.answer');"
        "return ['x', 'y', 'width', 'height', 'data-match'].map(k => Number(r.getAttribute(k)))"
    )
    x1, y1, x2, y2 = LEFT_BOX
    assert drawn == [x1, y1, x2 - x1, y2 - y1, 1]
    assert element(page, "#understood").text == "Understood: left, lower; not used: opacity"
    assert element(page, "#notes").text == "left lower: by where the region lies, 1 of 2."


def test_word_of_which_the_head_knows_nothing_is_said_to_be_unused(page):
    element(page, "#phrase").send_keys("mild\n")
    wait(page, "return document.getElementById('notes').textContent !== ''")
    assert "gives all regions about the same probability" in element(page, "#notes").text
    wait(page, "return document.getElementById('message').textContent.startsWith('No region')")
    assert page.execute_script("return document.querySelectorAll('.answer').length") == 0


def test_keyword_map_lies_over_the_region_that_fits(page):
    for row in page.find_elements("css selector", ".bar"):
        if row.text.startswith("right"):
            row.click()
            break
    wait(page, "return !document.querySelector('canvas').hidden")
    x1, y1, x2, y2 = RIGHT_BOX
    thick = page.execute_script(
        "const c = document.querySelector('canvas'); const s = c.width / 512;"
        "const at = (x, y) => c.getContext('2d').getImageData(x * s, y * s, 1, 1).data[3];"
        "return arguments[0].map(([x, y]) => at(x, y))",
        [[(x1 + x2) / 2, (y1 + y2) / 2], [350, 400], [500, 20]],
    )
    assert thick[0] == 200  # the whole map's maximum
    assert thick[1:] == [0, 0]


def test_dropped_film_is_read_and_opened(page, viewer, tmp_path):
    film = tmp_path / "films" / "0.png"
    element(page, "#file").send_keys(str(film))
    wait(page, "return document.getElementById('title').textContent === '0'")
    assert drawn(page) == [[10, 20, 110, 220]]
    assert len(viewer.films) == 4
    assert "0.80" in element(page, "#measures").text
    assert "1.0 – 3.0" in element(page, "#measures").text


def test_file_that_is_no_film_is_refused_in_words(page, tmp_path):
    film = tmp_path / "notes.png"
    film.write_text("<script>alert(1)</script>")
    element(page, "#file").send_keys(str(film))
    wait(page, "return !document.getElementById('refused').hidden")
    text = element(page, "#refused").text
    assert "1 of 1 files could not be read" in text
    assert "notes.png: expected PNG, JPEG, TIFF, BMP, WebP or DICOM data" in text


def test_hostile_id_stays_text(tmp_path, browser):
    hostile = "<img src=x onerror=alert(1)>"
    with served(tmp_path, ids=(hostile, "b", "c")) as server:
        browser.get(server.access.url())
        wait(browser, "return document.querySelectorAll('.box').length === 2")
        assert element(browser, "#title").text == hostile
        assert browser.execute_script("return document.querySelectorAll('img').length") == 1
        assert browser.get_log("browser") == []


def test_foreign_page_cannot_read_or_save(viewer, browser, tmp_path):
    page = tmp_path / "foreign.html"
    page.write_text("<p>foreign</p>")
    browser.get(page.as_uri())
    result = browser.execute_async_script(
        "const done = arguments[1]; fetch(arguments[0], {method: 'POST', body: '[]'})"
        ".then(() => done('read'), () => done('refused'))",
        f"http://127.0.0.1:{viewer.access.port}/api/save?number=0&key={viewer.access.key}",
    )
    assert result == "refused"
    assert ask(viewer, "/api/film?number=0")[1]["corrected"] is None
