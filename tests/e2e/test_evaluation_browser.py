"""The report of `audiobuff evaluate` in a real browser, on a laptop and on a phone."""

import pytest
from browsed_page import browsed, overflowing
from evaluated_folders import clean_sound, make_folders, write

from audiobuff_core.commands.evaluate import write_evaluation
from audiobuff_core.evaluation.evaluation import evaluate
from audiobuff_core.evaluation.pairs import System

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SHOWN = "[...document.querySelectorAll('#items tbody tr')].filter(row => row.getClientRects().length)"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Six systems, one of which made a file of another length, so that every part of the page is there, and wide."""
    place = tmp_path_factory.mktemp("folders")
    make_folders(place)
    write(place / "half" / "item_5.wav", clean_sound(5)[:-9])
    systems = [System("half", place / "half", "half of the noise"), System("same", place / "same")]
    systems += [System(name, place / "same") for name in ("deepfilternet", "noisereduce", "grooveclean", "operator")]
    metrics = ["lsd_db", "si_sdr_db", "silence_added_db", "lufs_delta"]
    found = evaluate(place / "clean", place / "degraded", systems, metrics=metrics, processes=1)
    assert write_evaluation(found, place / "out") == 1
    return place / "out" / "report.html"


@pytest.fixture
def page(browser, report, request):
    with browsed(browser, report.as_uri(), getattr(request, "param", 1280)) as opened:
        yield opened


@pytest.mark.parametrize("page", [1280, 390], indirect=True)
def test_nothing_overflows_and_nothing_complains(page, report):
    assert overflowing(page) == []
    page.wait_for_function("[...document.querySelectorAll('audio')].every(one => one.readyState >= 1)", timeout=20_000)
    durations = page.evaluate("[...document.querySelectorAll('audio')].map(one => one.duration)")
    assert len(durations) >= 4 * 3
    assert durations == pytest.approx([0.8] * len(durations), abs=0.01)
    assert page.complaints == []
    assert {address for address in page.addresses if not address.startswith("data:")} == {report.as_uri()}


def test_problems_and_speeds_are_seen(page):
    assert "12791 samples, the clean one has 12800" in page.locator(".note").first.inner_text()
    told = page.locator("h1").inner_text()
    assert (
        "half is better than the damaged input; same, deepfilternet, noisereduce, grooveclean and operator are" in told
    )
    assert page.locator(".charts svg").count() == 2
    assert page.locator(".charts circle").count() == 2
    assert "how long it took: same" in page.locator("main").inner_text()


def test_a_click_on_a_head_sorts_by_it_and_another_turns_it_round(page):
    def gains():
        return page.evaluate(f"{SHOWN}.map(row => +row.cells[2].dataset.value)")

    head = page.locator("#items thead th").nth(2)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert gains() == sorted(gains())
    head.locator("button").click()
    assert gains() == sorted(gains(), reverse=True)
    assert len(set(gains())) == 6


@pytest.mark.parametrize("page", [1280, 390], indirect=True)
def test_another_system_shows_its_items(page):
    names = f"{SHOWN}.map(row => row.dataset.system)"
    assert page.evaluate(names) == ["half"] * 6
    page.select_option("#system", "same")
    assert page.evaluate(names) == ["same"] * 6
