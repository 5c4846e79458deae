"""The report in a real browser, on a laptop and on a phone."""

import shutil
from pathlib import Path

import pytest
from browsed_page import browsed, overflowing
from evaluated_clips import better, evaluate

from audiobuff_core.evaluation.leaderboard import make_leaderboard

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WIDTHS = (1280, 800, 390)


@pytest.fixture(scope="module")
def report(evaluated_root, pristine_root, tmp_path_factory):
    """A report of two checkpoints, one of which does nothing, so that every part of the page is there."""
    root = str(tmp_path_factory.mktemp("report") / "root")
    shutil.copytree(evaluated_root, root)
    evaluate(root, pristine_root[1], "bbbb", better, kinds=("seed", "hum", "mp3"))
    return Path(make_leaderboard(root, ["aaaa", "bbbb"], featured="aaaa").report_path)


@pytest.fixture
def page(browser, report, request):
    """The report, opened at a width in pixels; every message and request of the page is kept."""
    with browsed(browser, report.as_uri(), getattr(request, "param", 1280)) as opened:
        yield opened


@pytest.mark.parametrize("page", WIDTHS, indirect=True)
def test_nothing_overflows(page):
    assert overflowing(page) == []
    cut = page.evaluate(
        """() => [...document.querySelectorAll("td, th, p, li, h1, h2, h3, h4, dd, dt, summary, .chip, .card")]
            .filter(one => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== "inline"
                && one.closest("thead") === null)
            .map(one => one.outerHTML.slice(0, 120))"""
    )
    assert cut == []


@pytest.mark.parametrize("page", [1280, 390], indirect=True)
def test_every_player_has_a_duration_and_a_picture(page):
    page.wait_for_function("[...document.querySelectorAll('audio')].every(one => one.readyState >= 1)", timeout=20_000)
    durations = page.evaluate("[...document.querySelectorAll('audio')].map(one => one.duration)")
    assert len(durations) == 3 * (6 + 2)
    assert durations == pytest.approx([0.5] * len(durations), abs=0.01)
    sizes = page.evaluate("[...document.querySelectorAll('.picture img')].map(one => one.naturalWidth)")
    assert sizes == [320] * len(durations)
    heights = page.evaluate("[...document.querySelectorAll('audio')].map(one => one.getBoundingClientRect().height)")
    assert min(heights) >= 30


def test_versions_stand_side_by_side_on_a_laptop_and_stacked_on_a_phone(page):
    def tops():
        return page.evaluate(
            "[...document.querySelector('.versions').children].map(one => Math.round(one.getBoundingClientRect().top))"
        )

    assert len(set(tops())) == 1
    page.set_viewport_size({"width": 390, "height": 844})
    assert len(set(tops())) == 3


def test_a_click_on_a_spectrogram_plays_from_there_and_stops_the_others(page):
    page.wait_for_function("[...document.querySelectorAll('audio')].every(one => one.readyState >= 2)", timeout=20_000)
    page.evaluate("document.querySelectorAll('audio')[1].play()")
    picture = page.locator(".picture").first
    box = picture.bounding_box()
    picture.click(position={"x": box["width"] * 0.5, "y": 20})
    page.wait_for_function("document.querySelectorAll('audio')[0].currentTime >= 0.25")
    assert page.evaluate("document.querySelectorAll('audio')[1].paused")


def test_the_page_complains_of_nothing_and_asks_for_nothing(page, report):
    page.wait_for_timeout(200)
    assert page.complaints == []
    assert [address for address in page.addresses if not address.startswith(("data:", "file:"))] == []
    assert {address for address in page.addresses if address.startswith("file:")} == {report.as_uri()}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_both_colour_schemes(browser, report, scheme):
    """Contrast of the text of each part with its ground, by WCAG 2.1: at least 4.5."""
    opened = browser.new_page(viewport={"width": 1280, "height": 844}, color_scheme=scheme)
    opened.goto(report.as_uri())
    pairs = opened.evaluate(
        """() => {
            const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
            const paint = (colour, ground) => {
                canvas.fillStyle = ground; canvas.fillRect(0, 0, 1, 1);
                canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
                return "rgb(" + canvas.getImageData(0, 0, 1, 1).data.slice(0, 3).join(" ") + ")";
            };
            const grounds = one => {
                let chain = [];
                for (; one; one = one.parentElement) chain.unshift(getComputedStyle(one).backgroundColor);
                return chain.reduce((ground, colour) => paint(colour, ground), "rgb(255 255 255)");
            };
            const parts = [...document.querySelectorAll("h1, p, li, dd, dt, .chip, .gain, td, th, small, figcaption")];
            return parts.filter(one => one.innerText.trim()).map(one => {
                const ground = grounds(one);
                return [one.innerText.slice(0, 40), paint(getComputedStyle(one).color, ground), ground];
            });
        }"""
    )
    opened.close()
    assert len(pairs) > 100
    faint = [(text, contrast(ink, ground)) for text, ink, ground in pairs if contrast(ink, ground) < 4.5]
    assert faint == []


def contrast(ink, ground):
    """The contrast ratio of two colours written `rgb(r g b)`."""
    first, second = sorted((luminance(colour) for colour in (ink, ground)), reverse=True)
    return (first + 0.05) / (second + 0.05)


def luminance(colour):
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").replace(",", " ").split()]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
