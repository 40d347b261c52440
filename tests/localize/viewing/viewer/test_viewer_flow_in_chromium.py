"""A whole session of an annotator: drop, look, draw, undo, label, save, export; wide and narrow."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from localize.formats.changes import summarise_changes
from localize.formats.hub.from_tables import annotations_from_prediction
from localize.formats.import_boxes import import_boxes
from localize.formats.tools.coco import read_coco
from localize.formats.tools.cvat import read_cvat
from localize.formats.tools.label_studio import read_label_studio
from tests.localize.predictions import make_prediction, make_truth
from tests.localize.viewing.viewer.served import IDS, served
from tests.localize.viewing.viewer.test_viewer_in_chromium import drag, drawn, element, press, wait

pytestmark = pytest.mark.slow


@pytest.fixture
def viewer(tmp_path):
    with served(tmp_path) as server:
        yield server


@pytest.fixture(params=[1440, 390], ids=["wide", "phone"])
def page(request, viewer, browser):
    # Not the window's size: a window of Chromium has a least width.
    metrics = {"width": request.param, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(viewer.access.url())
    wait(browser, "return document.querySelectorAll('.box').length === 2")
    assert browser.execute_script("return innerWidth") == request.param
    return browser


def click(page, css):
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", element(page, css))
    element(page, css).click()


def show_stage(page):
    page.execute_script("document.getElementById('stage').scrollIntoView({block: 'center'})")


def shown_grey(page):
    """The grey level that a linear filter gives to middle grey and white."""
    return page.execute_script(
        "const f = document.querySelector('#window [type=linear]');"
        "const [s, i] = ['slope', 'intercept'].map(k => Number(f.getAttribute(k)));"
        "return [0.5, 1].map(v => Math.min(Math.max(s * v + i, 0), 1))"
    )


def box_left(page):
    return page.execute_script(
        "const b = document.querySelector('.box').getBoundingClientRect(); return [b.left, b.width]"
    )


def with_control(page, key, *, shift=False):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    keys = [Keys.CONTROL, Keys.SHIFT] if shift else [Keys.CONTROL]
    actions = ActionChains(page)
    for one in keys:
        actions.key_down(one)
    actions.send_keys(key)
    for one in keys:
        actions.key_up(one)
    actions.perform()


def test_the_whole_session(page, viewer, tmp_path):
    from selenium.webdriver.common.keys import Keys

    # Drop five files, two of which are no films.
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "notes of monday.png").write_text("no picture")
    (bad / "empty.dcm").write_bytes(b"")
    good = []
    for number in range(3):
        good.append(tmp_path / f"dropped {number}.png")
        Image.fromarray(np.full((512, 512), 60 + 60 * number, np.uint8)).save(good[-1])
    files = [good[0], bad / "notes of monday.png", good[1], bad / "empty.dcm", good[2]]
    element(page, "#file").send_keys("\n".join(map(str, files)))
    wait(page, "return document.getElementById('message').textContent.startsWith('3 of 5')")
    refused = element(page, "#refused").text
    assert "2 of 5 files could not be read" in refused
    assert "notes of monday.png: expected PNG, JPEG, TIFF, BMP, WebP or DICOM data" in refused
    assert "empty.dcm" in refused
    assert len(viewer.films) == 6
    assert element(page, "#title").text == "dropped 0"
    click(page, "#refused-close")
    click(page, "#films li")
    wait(page, "return document.getElementById('title').textContent === 'first'")
    show_stage(page)

    # Zoom, pan and come back; a box stays on its place on the film.
    at_first = box_left(page)
    press(page, "+", "+")
    wait(page, "return document.getElementById('zoom').textContent === '156 %'")
    wait(page, "return document.querySelector('.frame img').src.includes('full=1')")
    zoomed = box_left(page)
    assert zoomed[1] == pytest.approx(1.5625 * at_first[1], rel=0.02)
    press(page, Keys.ARROW_RIGHT)
    assert box_left(page)[0] < zoomed[0] - 10, "the film moved to the left"
    press(page, "0")
    assert box_left(page) == pytest.approx(at_first, abs=0.5)

    # Window, level, invert, reset.
    assert shown_grey(page) == [0.5, 1]
    press(page, "}", "}", "]")
    middle, white = shown_grey(page)
    assert (middle > 0.52, white) == (True, 1), "brighter, and more contrast"
    press(page, "i")
    assert shown_grey(page)[1] == 0
    press(page, "r")
    assert shown_grey(page) == [0.5, 1]

    # Draw, undo, redo.
    drag(page, (40, 400), (90, 480))
    assert len(drawn(page)) == 3
    with_control(page, "z")
    assert len(drawn(page)) == 2
    with_control(page, "y")
    assert len(drawn(page)) == 3
    with_control(page, "z")
    with_control(page, "z", shift=True)
    assert len(drawn(page)) == 3

    # A second label for the new box; confirm the first proposal; leave the second alone.
    press(page, ",")  # the last box
    page.execute_script(
        "const e = document.getElementById('label'); e.value = 'effusion';"
        "e.dispatchEvent(new Event('change'))"
    )
    press(page, Keys.ESCAPE, ".", "c")
    assert "effusion" in element(page, "#boxes").text
    show_stage(page)

    # The earlier film beside it, then save and next.
    press(page, Keys.ESCAPE, "e")
    caption = "document.querySelector('#other figcaption').textContent"
    wait(page, f"return {caption}.startsWith('second')")
    press(page, "e")
    press(page, Keys.ENTER)
    wait(page, "return document.getElementById('title').textContent === 'second'")
    press(page, Keys.ENTER)
    wait(page, "return document.getElementById('title').textContent === 'third'")

    films = {
        film.name: film for film in read_coco(tmp_path / "out" / "corrections.tester.coco.json")
    }
    first, second = films["first.png"], films["second.png"]
    assert (first.labels, len(second)) == (("pneumonia", "pneumonia", "effusion"), 0)
    np.testing.assert_allclose(first.scores, [0.9, 0.2, np.nan])
    assert [box.annotator for box in first.boxes] == ["tester", "", "tester"]
    assert second.annotator == "tester"
    said = [row["message"] for row in page.get_log("browser")]
    assert all("/api/drop" in line for line in said), said  # the two refusals

    # Export for each tool: author, boxes and scores are in all of them.
    readers = {"label-studio": read_label_studio, "cvat": read_cvat, "coco": read_coco}
    for name, read in readers.items():
        page.execute_script(f"document.getElementById('format').value = '{name}'")
        click(page, "#export")
        wait(page, f"return document.getElementById('message').textContent.includes('.{name}.')")
        path = element(page, "#message").text.removeprefix("Exported to ")
        back = {film.name: film for film in read(tmp_path / "out" / path.rsplit("/", 1)[-1])}
        np.testing.assert_allclose(back["first.png"].xyxy, first.xyxy, atol=0.01)
        assert back["first.png"].labels == first.labels, name
        assert back["second.png"].annotator == "tester", name
        if name != "label-studio":  # which says origin manual of a confirmed box, without score
            np.testing.assert_allclose(back["first.png"].scores, first.scores)

    # Back into a manifest, and who changed what.
    manifest = make_truth(IDS)
    imported = import_boxes(list(films.values()), manifest)
    assert len(imported.boxes_of("first")) == 3
    assert set(imported.boxes["annotator"]) == {"tester"}
    rows = [("first", 100, 100, 200, 200, 0.9), ("first", 300, 300, 400, 400, 0.2)]
    sent = annotations_from_prediction(make_prediction(IDS, rows))
    changes = json.loads(summarise_changes(sent, list(films.values()), manifest).to_json())
    assert (changes["total"]["accepted"], changes["total"]["added"]) == (2, 1)
    assert list(changes["by_annotator"]) == ["tester"]
