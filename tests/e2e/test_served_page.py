"""The page of `audiobuff serve` in a real browser: a real upload, a real result, a bad file."""

import io
import json

import numpy as np
import pytest
import soundfile
from browsed_page import browsed, overflowing
from served_page import served

pytestmark = [pytest.mark.browser, pytest.mark.slow]
RATE, SECONDS = 22_050, 3.0


@pytest.fixture(scope="module")
def address(changing_model, tmp_path_factory):
    with served(tmp_path_factory.mktemp("served") / "jobs", changing_model, max_minutes=1) as found:
        yield found


@pytest.fixture
def page(browser, address, request):
    with browsed(browser, address, getattr(request, "param", 1280), accept_downloads=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def tape():
    """A tone with a click in its left channel."""
    time = np.arange(round(SECONDS * RATE)) / RATE
    tone = 0.2 * np.sin(2 * np.pi * 330 * time) + 0.002 * np.random.default_rng(1).standard_normal(len(time))
    rows = np.stack([tone, tone], axis=1)
    rows[30_000:30_006, 0] += (0.5, -0.6, 0.5, -0.4, 0.3, -0.2)
    place = io.BytesIO()
    soundfile.write(place, rows, RATE, format="WAV", subtype="PCM_16")
    return place.getvalue()


def until(page, expression):
    """Wait for a JavaScript expression to hold; the browser's own way of waiting is refused by the page's policy."""
    for _ in range(400):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"Never came true: {expression}")


def give(page, name, body):
    page.set_input_files("#file", {"name": name, "mimeType": "audio/wav", "buffer": body})


def repaired(page, tape):
    give(page, "old tape.wav", tape)
    page.click("#go")
    page.wait_for_selector("#result:not([hidden])", timeout=60_000)


@pytest.mark.parametrize("page", [1280, 390], indirect=True)
def test_a_recording_is_repaired_heard_and_fetched(page, tape, address):
    assert page.is_disabled("#go")
    page.check("[name=preset][value=fast]", force=True)
    page.fill("#strength", "80")
    assert page.inner_text("#strength-told") == "80 %"
    assert overflowing(page) == []
    repaired(page, tape)
    assert overflowing(page) == []
    assert "PCM 16, 22.05 kHz, stereo" in page.inner_text("#result-facts")
    assert "Click replaced" in page.inner_text("#kinds")
    until(page, "sounds.after.readyState >= 2 && sounds.before.readyState >= 2")
    durations = page.evaluate("[sounds.before, sounds.after, sounds.difference].map(one => one.duration)")
    assert durations == pytest.approx([SECONDS] * 3, abs=0.01)
    until(page, "document.getElementById('picture').naturalWidth === 1000")
    with page.expect_download() as fetched:
        page.click("#fetch")
    assert fetched.value.suggested_filename == "old tape restored.wav"
    after = soundfile.read(fetched.value.path(), dtype="int16")[0]
    before = soundfile.read(io.BytesIO(tape), dtype="int16")[0]
    assert after.shape == before.shape
    assert not np.array_equal(after, before)
    with page.expect_download() as fetched:
        page.click("#fetch-report")
    assert json.loads(fetched.value.path().read_text())["settings"]["strength"] == 0.8
    assert page.complaints == []
    assert {one for one in page.addresses if not one.startswith((address, "data:", "blob:"))} == set()


def test_versions_stay_in_step_and_places_are_heard(page, tape):
    repaired(page, tape)
    until(page, "Object.values(sounds).every(one => one.readyState >= 2)")
    box = page.locator("#stage").bounding_box()
    page.click("#stage", position={"x": box["width"] / 2, "y": 20})
    until(page, "sounds.after.currentTime >= 1.5 && !sounds.after.paused")
    page.click("[data-view=before]")
    until(page, "!sounds.before.paused && sounds.after.paused && sounds.before.currentTime >= 1.4")
    assert page.get_attribute("[data-view=before]", "aria-pressed") == "true"
    assert page.get_attribute("#play", "aria-label") == "Pause"
    page.click("#play")
    assert page.evaluate("Object.values(sounds).every(one => one.paused)")
    page.click("#repairs button >> nth=0")
    until(page, "!sounds.before.paused")


def test_a_bad_file_is_one_readable_line_and_the_next_one_works(page, tape):
    give(page, "letter.wav", b"Dear editor, this is no sound at all.")
    page.click("#go")
    page.wait_for_selector("#problem:not([hidden])", timeout=20_000)
    said = page.inner_text("#problem-text")
    assert "letter.wav is not audio" in said
    assert "expected WAV, FLAC" in said
    assert page.is_visible("#start")
    page.click("#other")
    repaired(page, tape)
    assert not page.is_visible("#problem")


def test_what_is_deleted_is_gone(page, tape):
    repaired(page, tape)
    kept = page.evaluate("document.getElementById('fetch').href")
    page.click("#forget")
    page.wait_for_selector("#drop:not([hidden])")
    until(page, f"fetch({json.dumps(kept)}).then(answer => answer.status === 404)")
