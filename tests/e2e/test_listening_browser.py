"""The blind page in a real browser, by keyboard alone, on a laptop and on a phone, until the answers are a figure."""

import json
import math

import numpy as np
import pytest
from browsed_page import browsed, overflowing

from audiobuff_assets import cli
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio

pytestmark = [pytest.mark.browser, pytest.mark.slow]

RATE = 16_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two recordings, damaged and restored, and the page about them."""
    folder = tmp_path_factory.mktemp("listening")
    times = np.arange(round(0.6 * RATE)) / RATE
    for index, name in enumerate(("one", "two")):
        sound = 0.3 * np.sin(2 * math.pi * (300 + 200 * index) * times)
        noise = 0.1 * np.random.default_rng(index).standard_normal(len(times))
        for place, share in (("clean", 0.0), ("damaged", 1.0), ("ours", 0.2)):
            write_audio(
                folder / place / f"{name}.wav", Waveform((sound + share * noise)[None].astype(np.float32), RATE)
            )
    assert (
        cli.main(["listen", str(folder), *named(folder), "--listener", "anna", "--seconds", "0.5", "--abx", "1"]) == 0
    )
    return folder


def named(folder):
    return [
        "--clean",
        f"{folder / 'clean'}",
        "--degraded",
        f"{folder / 'damaged'}",
        "--restored",
        f"ours={folder / 'ours'}",
    ]


@pytest.fixture
def page(browser, folder, request):
    """The page at a width in pixels, alone with its storage; every message and request is kept."""
    address = (folder / "listening" / "anna.html").as_uri()
    with browsed(browser, address, getattr(request, "param", 1280)) as opened:
        yield opened
        assert opened.complaints == []
        assert all(address.startswith(("file:", "data:", "blob:")) for address in opened.addresses)


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def part(page, name, number):
    page.wait_for_function(
        "([name, number]) => !document.getElementById(name).hidden && state.at === number", arg=[name, number]
    )


def test_keyboard_alone_leads_through_to_the_table(page, folder):
    key = json.loads((folder / "listening" / "anna.key.json").read_text())
    wanted = {"reference": 100, "anchor": 20, "degraded": 40, "ours": 70}
    press(page, "Enter")
    for number in range(2):
        part(page, "rate", number)
        trial = page.evaluate("trial().trial")
        stimuli = page.evaluate("trial().stimuli.map(sound => sound.id)")
        assert page.is_disabled("#rate .next")
        press(page, "0")
        assert page.evaluate("playing.name") == "0"
        for place, stimulus in enumerate(stimuli, start=1):
            score = wanted[key["ratings"][trial]["stimuli"][stimulus]]
            press(page, str(place))
            assert page.get_attribute(f'.row[data-key="{place}"] button', "aria-pressed") == "true"
            steps = (score - 50) // 10
            press(page, *["Shift+ArrowRight" if steps > 0 else "Shift+ArrowLeft"] * abs(steps))
            assert page.inner_text(f'.row[data-key="{place}"] output').startswith(str(score))
        press(page, "Enter")
    for number in range(2, 4):
        part(page, "tell", number)
        press(page, "a", "b", "x")
        told = key["abx"][page.evaluate("trial().trial")]["x"]
        press(page, "ArrowLeft" if told == "A" else "ArrowRight")
        press(page, "Enter")
    page.wait_for_selector("#end:not([hidden])")
    with page.expect_download() as download:
        press(page, "Enter")
    assert download.value.suggested_filename == "anna.results.json"
    download.value.save_as(folder / "listening" / "anna.results.json")
    code = cli.main([
        "evaluate", *named(folder), "--out", str(folder / "report"), "--metrics", "si_sdr_db", "--processes", "1",
        "--listening", str(folder / "listening"),
    ])  # fmt: skip
    assert code == 0
    table = json.loads((folder / "report" / "evaluation.json").read_text())["table"]["all"]
    assert table["ours"]["mushra"]["mean"]["mean"] == 70
    assert table["degraded"]["mushra"]["mean"]["mean"] == 40
    assert table["ours"]["mushra"]["gain"]["low"] == 30
    assert table["ours"]["abx_share"]["mean"]["mean"] == 1
    assert "MUSHRA" in (folder / "report" / "report.html").read_text()


def test_sounds_change_in_step_and_stop(page):
    press(page, "Enter")
    part(page, "rate", 0)
    press(page, "1")
    page.wait_for_function("offset() > 0.1")
    before, after = page.evaluate("(() => { const before = offset(); hear('2'); return [before, offset()]; })()")
    # The browser's clock of sound moves in buffers of 512 samples, 12 ms; from the start would be a tenth of a second.
    assert abs(after - before) < 0.05
    press(page, "Space")
    assert page.evaluate("playing") is None
    press(page, "ArrowDown")
    assert page.evaluate("playing.name") == "3"


def test_answers_outlast_a_reload(page):
    press(page, "Enter")
    part(page, "rate", 0)
    press(page, "2", "ArrowRight")
    page.reload()
    assert page.inner_text("#start").startswith("Go on")
    press(page, "Enter")
    part(page, "rate", 0)
    assert page.inner_text('.row[data-key="2"] output').startswith("51")
    assert page.inner_text("#left") == "3 not rated yet"


@pytest.mark.parametrize("page", [1280, 390], indirect=True)
def test_nothing_overflows_and_fingers_find_every_button(page):
    press(page, "Enter")
    part(page, "rate", 0)
    for name in ("begin", "rate", "tell", "end"):
        page.evaluate(f"show('{name}')")
        assert overflowing(page) == []
        heights = page.evaluate(
            "all('section:not([hidden]) button').map(button => button.getBoundingClientRect().height)"
        )
        assert min(heights) >= 44
