"""A headless Chromium for the pages of the package; tests skip where there is none."""

from __future__ import annotations

import shutil

import pytest

CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1360,1000",
)


@pytest.fixture
def browser(tmp_path):
    """A Selenium driver with a fresh profile; what its console said is in `get_log("browser")`."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver_path = shutil.which("chromedriver")
    if chromium is None or driver_path is None:
        pytest.skip("no chromium with chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*CHROMIUM_FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(driver_path))
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """A bundle with random weights and a severity model."""
    from tests.localize.models import tiny_severity, write_tiny_bundle  # imports torch

    return write_tiny_bundle(tmp_path_factory.mktemp("bundle"), severity=tiny_severity())


@pytest.fixture
def film(tmp_path):
    """A PNG film of 160 x 120 pixels."""
    from tests.localize.models import write_films

    return write_films(tmp_path / "films", [(160, 120)])[0]
