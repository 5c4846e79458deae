"""The browser, the measured clips of which it sees the report, and a network for the page."""

import os
import shutil

import pytest
from evaluated_clips import evaluated, evaluated_root, pristine_root, shard  # noqa: F401 - fixtures
from small_models import changing_model, export  # noqa: F401 - fixtures

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)


def chromium():
    """The browser's path; without one CI fails and elsewhere the tests are skipped."""
    found = os.environ.get("AUDIOBUFF_CHROMIUM") or shutil.which("chromium")
    if found is None:
        reason = "no Chromium: install the package chromium, or name one by AUDIOBUFF_CHROMIUM"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    return found


@pytest.fixture(scope="module")  # not longer: its event loop would be in the way of other tests' own
def browser():
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, headless=True, args=list(FLAGS))
        yield started
        started.close()
