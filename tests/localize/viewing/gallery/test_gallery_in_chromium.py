"""The page as a person uses it, in a real browser."""

from __future__ import annotations

import numpy as np
import pytest

from localize.prediction.tables import Prediction
from localize.viewing.gallery.build import build_gallery
from tests.localize.predictions import make_prediction, make_truth
from tests.localize.viewing.gallery.films import save_films

pytestmark = pytest.mark.slow
IDS = ("calm", "worst", "middling", "<script>alert(1)</script>")


@pytest.fixture
def page(tmp_path, browser):
    boxes = [
        ("calm", 20, 20, 100, 100, 0.1),
        ("worst", 100, 200, 200, 400, 0.9),
        ("worst", 300, 200, 420, 400, 0.6),
        ("middling", 50, 50, 150, 150, 0.5),
    ]
    prediction = make_prediction(
        IDS,
        boxes,
        p_pneumonia=[0.1, 0.9, 0.5, 0.3],
        attributes={name: np.linspace(0.2, 0.8, 4) for name in ("left", "right", "lower")},
        severity=[0.5, 3.0, 6.0, 1.0],
    )
    prediction = Prediction(
        prediction.images,
        prediction.boxes,
        prediction.attributes,
        {"severity": {"low": 0, "high": 8, "residual": 1}},
    )
    films = save_films(tmp_path / "films", IDS)
    truth = make_truth(IDS[:3], [("worst", 105, 205, 205, 405)])
    target = build_gallery(prediction, films, tmp_path / "g.html", manifest=truth)
    browser.get(target.as_uri())
    return browser


def names(page) -> list[str]:
    return page.execute_script(
        "return [...document.querySelectorAll('.card bdi')].map(e => e.textContent)"
    )


def press(page, keys):
    from selenium.webdriver.common.by import By

    page.find_element(By.TAG_NAME, "body").send_keys(keys)


def choose(page, control, value):
    page.execute_script(
        "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
        "e.dispatchEvent(new Event('input', {bubbles: true}));",
        control,
        value,
    )


def has_class(page, name) -> bool:
    return page.execute_script("return document.body.classList.contains(arguments[0])", name)


def test_films_are_sorted_filtered_and_drawn_without_errors(page):
    assert names(page) == ["worst", "middling", IDS[3], "calm"]
    choose(page, "sort", "severity")
    assert names(page)[0] == "middling"
    choose(page, "sort", "id")
    assert names(page) == [IDS[3], "calm", "middling", "worst"]
    choose(page, "score", "0.5")
    assert names(page) == ["middling", "worst"]
    choose(page, "truth", "with")
    assert names(page) == ["worst"]
    choose(page, "text", "no such film")
    assert names(page) == []
    assert "0 of 4 films" in page.page_source
    assert page.get_log("browser") == []


def test_keyword_filter_keeps_the_films_where_it_is_likely(page):
    choose(page, "keyword", "left")  # probabilities .2 .4 .6 .8 in the order of IDS
    assert sorted(names(page)) == sorted(IDS[2:])


# With so many digits that a browser rounds it up.
GALLERY_INFO = {
    "operating_point": 0.2999073538431257,
    "prevalence": {"stated": 0.125, "model": 0.5},
}


def a_gallery(tmp_path, browser, *, side=512, **options):
    """Four films with calls and warnings and an operating point of 0.3, opened in the browser."""
    ids = ("opaque", "doubtful", "clear", "odd")
    boxes = [("opaque", 100, 200, 200, 400, 0.9), ("opaque", 300, 200, 420, 400, 0.1)]
    made = make_prediction(
        ids, [*boxes, ("clear", 20, 20, 60, 60, 0.05)], p_pneumonia=[0.22, 0.07, 0.02, 0.01]
    )
    images = made.images.assign(
        opacity=["yes", "unsure", "no", "no"], warning=["", "", "", "a lateral film"]
    ).assign(width=side, height=side)
    made = Prediction(images, made.boxes, made.attributes, GALLERY_INFO)
    films = save_films(tmp_path / "films", ids)
    browser.get(build_gallery(made, films, tmp_path / "g.html", **options).as_uri())
    return browser


def test_films_are_filtered_by_call_and_by_warning(tmp_path, browser):
    page = a_gallery(tmp_path, browser)
    for call, expected in (("yes", ["opaque"]), ("unsure", ["doubtful"]), ("no", ["clear", "odd"])):
        choose(page, "call", call)
        assert names(page) == expected
    choose(page, "warning", "with")
    assert names(page) == ["odd"]
    choose(page, "warning", "without")
    assert names(page) == ["clear"]


def test_boxes_from_the_operating_point_on_are_drawn_and_no_film_is_hidden(tmp_path, browser):
    count = "return document.querySelectorAll('.box').length"
    page = a_gallery(tmp_path, browser)
    assert page.execute_script(count) == 1
    assert len(names(page)) == 4
    choose(page, "score", "0")
    assert page.execute_script(count) == 3
    page = a_gallery(tmp_path, browser, all_boxes=True)
    assert page.execute_script(count) == 3


def test_the_call_is_explained_on_hover(tmp_path, browser):
    page = a_gallery(tmp_path, browser)
    hint = page.execute_script("return document.querySelector('.measures div').title")
    assert "two thresholds on P(pneumonia)" in hint
    assert "0.22 can be yes and 0.07 unsure" in hint
    assert "for films of which 12.5 % show an opacity" in hint


def test_an_enlarged_film_zooms_to_its_own_pixels_about_the_mouse(tmp_path, browser):
    page = a_gallery(tmp_path, browser, side=2048, full_resolution=True)
    page.execute_script("document.querySelector('.card .film').click()")
    frame = "document.querySelector('#large .frame').getBoundingClientRect()"
    box = "document.querySelector('#large .box').getBoundingClientRect()"
    press(page, "1")
    assert page.execute_script(f"return {frame}.width") == pytest.approx(2048, abs=0.5)
    assert page.execute_script(f"return {box}.width") == pytest.approx(100, abs=0.5)
    corner = f"const b = {box}; return [b.left, b.top]"
    before = page.execute_script(corner)
    page.execute_script(
        "document.querySelector('#large .film').dispatchEvent(new WheelEvent('wheel', {deltaY: -1,"
        " clientX: arguments[0], clientY: arguments[1], cancelable: true}))",
        *before,
    )
    assert page.execute_script(f"return {box}.width") == pytest.approx(120, abs=0.5)
    assert page.execute_script(corner) == pytest.approx(before, abs=1.5)
    press(page, "0")
    assert page.execute_script("return document.getElementById('zoom-value').value") == "fit"
    assert page.get_log("browser") == []


def test_a_phone_shows_the_page_without_scrolling_sideways(tmp_path, browser):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True},
    )
    page = a_gallery(tmp_path, browser)
    assert page.execute_script("return document.documentElement.scrollWidth") == 390
    page.execute_script("document.querySelector('.card .film').click()")
    wide = page.execute_script(
        "return [...document.querySelectorAll('#large, #large *')]"
        ".filter(e => e.getBoundingClientRect().right > 390.5).map(e => e.outerHTML.slice(0, 80))"
    )
    assert wide == []


def test_boxes_lie_on_the_film_at_their_place(page):
    picture, box, true = page.execute_script(
        "const card = document.querySelector('.card');"
        "return ['img', '.box', '.true'].map(name => {"
        "  const b = [...card.querySelectorAll(name)].at(-1).getBoundingClientRect();"
        "  return [b.left, b.top, b.width, b.height]; })"
    )
    scale = picture[2] / 512
    expected = np.array([*picture[:2], 0, 0]) + np.array([100, 200, 100, 200]) * scale
    assert np.abs(np.array(box) - expected).max() < 0.1
    assert np.abs(np.array(true) - expected - [5 * scale, 5 * scale, 0, 0]).max() < 0.1


def test_keys_move_toggle_enlarge_and_explain(page):
    from selenium.webdriver.common.keys import Keys

    press(page, "j")
    assert page.switch_to.active_element.get_attribute("aria-label") == "Film middling"
    page.switch_to.active_element.send_keys("k")
    assert page.switch_to.active_element.get_attribute("aria-label") == "Film worst"
    page.switch_to.active_element.send_keys("b")
    assert has_class(page, "no-boxes")
    page.switch_to.active_element.send_keys("t")
    assert has_class(page, "no-truth")
    page.switch_to.active_element.send_keys("b", "t")
    assert not has_class(page, "no-boxes")
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert page.execute_script("return document.getElementById('large').open")
    press(page, Keys.ARROW_RIGHT)
    title = page.execute_script("return document.getElementById('large-title').textContent")
    assert title == "middling"
    press(page, Keys.ESCAPE)
    press(page, "?")
    assert page.execute_script("return document.getElementById('help').open")
    press(page, Keys.ESCAPE)
    press(page, "f")
    assert page.switch_to.active_element.get_attribute("id") == "text"
    page.switch_to.active_element.send_keys("bt")  # letters in a field are text
    assert not has_class(page, "no-boxes")
    assert page.get_log("browser") == []


def test_pictures_have_words_for_those_who_do_not_see_them(page):
    texts = page.execute_script("return [...document.querySelectorAll('img')].map(e => e.alt)")
    assert texts[0] == "Chest film worst: 2 predicted boxes, best score 0.90; 1 true box"
    assert texts[-1].endswith("1 predicted box, best score 0.10; 0 true boxes")


def test_hostile_id_is_shown_as_it_is(page):
    assert IDS[3] in names(page)
    assert page.execute_script("return document.querySelectorAll('script').length") == 4


def test_pictures_below_the_script_come_too(tmp_path, browser):
    ids = [f"f{k:02}" for k in range(20)]
    prediction = make_prediction(ids, [], p_pneumonia=np.linspace(0.1, 0.9, 20))
    films = save_films(tmp_path / "films", ids)
    films["f00"] = tmp_path / "lost.png"  # the least likely film comes last
    browser.get(build_gallery(prediction, films, tmp_path / "g.html").as_uri())
    browser.execute_script("window.scrollTo(0, 1e6)")
    shown = browser.execute_async_script(
        "const done = arguments[0]; setTimeout(() => done("
        "[...document.querySelectorAll('.card')].map(card => card.querySelector('img') !== null"
        " ? 'picture' : card.querySelector('.missing').textContent)), 700)"
    )
    assert shown == ["picture"] * 19 + ["picture not available"]
