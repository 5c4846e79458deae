from dataclasses import replace

import pytest
from evaluated_folders import CHEAP, NUM_ITEMS, clean_sound, hiss, make_folders, write

from audiobuff_core.evaluation import kept_figures
from audiobuff_core.evaluation.evaluation import evaluate
from audiobuff_core.evaluation.metrics.registry import METRICS
from audiobuff_core.evaluation.pairs import System

ALWAYS = CHEAP[:2]  # these have a figure for every item; a reason why there is none is asked for again


@pytest.fixture
def folders(tmp_path):
    make_folders(tmp_path)
    return tmp_path


def measured(place, **options):
    systems = [System(name, place / name) for name in ("half", "same")]
    return evaluate(place / "clean", place / "degraded", systems, processes=1, **options)


@pytest.fixture
def asked(monkeypatch):
    """Which metrics are asked for figures, again and again."""
    names = []

    def counted(metric):
        def compare(comparison):
            names.append(metric.name)
            return metric.compare(comparison)

        return replace(metric, compare=compare)

    for name in ALWAYS:
        monkeypatch.setitem(METRICS, name, counted(METRICS[name]))
    return names


def test_what_was_measured_is_not_measured_again_until_it_changes(folders, asked):
    first = measured(folders, metrics=ALWAYS, keep=folders / "measured")
    assert len(asked) == NUM_ITEMS * 4 * len(ALWAYS)
    asked.clear()
    again = measured(folders, metrics=ALWAYS, keep=folders / "measured")
    assert asked == []
    assert [item.rows for item in again.items] == [item.rows for item in first.items]

    write(folders / "half" / "item_3.wav", clean_sound(3) + hiss(3) / 4)
    changed = measured(folders, metrics=[*ALWAYS, "lufs_delta"], keep=folders / "measured")
    assert asked == ALWAYS
    rows = {item.item.name: item.rows for item in changed.items}
    assert rows["item_3"]["half"]["si_sdr_db"] > first.items[3].rows["half"]["si_sdr_db"] + 5
    assert "lufs_delta" in rows["item_0"]["same"]


def test_figures_do_not_outlive_the_code_that_measured_them(folders, asked, monkeypatch):
    measured(folders, metrics=ALWAYS, keep=folders / "measured")
    monkeypatch.setattr(kept_figures, "_code", lambda: "another")
    asked.clear()
    measured(folders, metrics=ALWAYS, keep=folders / "measured")
    assert len(asked) == NUM_ITEMS * 4 * len(ALWAYS)


def test_what_was_cut_off_goes_on(folders, asked, monkeypatch):
    def cut_off(comparison):
        if len(asked) > 3 * 4 * len(ALWAYS):
            raise KeyboardInterrupt
        return METRICS["lufs_delta"].compare(comparison)

    with monkeypatch.context() as patch:
        patch.setitem(METRICS, "added", replace(METRICS["lufs_delta"], name="added", compare=cut_off))
        with pytest.raises(KeyboardInterrupt):
            measured(folders, metrics=[*ALWAYS, "added"], keep=folders / "measured")
    asked.clear()
    found = measured(folders, metrics=ALWAYS, keep=folders / "measured")
    assert len(asked) == (NUM_ITEMS - 3) * 4 * len(ALWAYS)
    assert len(found.kinds["all"]) == NUM_ITEMS
