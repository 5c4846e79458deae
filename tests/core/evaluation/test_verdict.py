import pytest

from audiobuff_core.evaluation.table import ClipMeasures, MetricTable, summarise
from audiobuff_core.evaluation.verdict import judge, number, outcome_of


def table(kind, gains, num_clips=12):
    """A table whose clips gain about (LSD, SI-SDR)."""
    floor, ceiling = {"lsd_db": 12.0, "si_sdr_db": 5.0}, {"lsd_db": 0.0, "si_sdr_db": 30.0}
    items = []
    for index in range(num_clips):
        wobble = 0.1 * (index - (num_clips - 1) / 2) / num_clips
        restored = {"lsd_db": 12.0 - gains[0] + wobble, "si_sdr_db": 5.0 + gains[1] + wobble}
        items.append(ClipMeasures(f"clip{index}", f"{kind}{index}", floor, restored, ceiling))
    intervals, gain_intervals = summarise(items, seed=1)
    return MetricTable("aaaa", kind, "digest", "path", tuple(items), intervals, gain_intervals)


@pytest.mark.parametrize(
    ("gains", "num_clips", "outcome"),
    [
        ((3, 2), 12, "better"),
        ((3, 0), 12, "better"),
        ((0.09, -0.09), 12, "unclear"),
        ((3, -2), 12, "mixed"),
        ((0, 0), 12, "unclear"),
        ((3, 2), 5, "unclear"),
        ((-3, -2), 12, "worse"),
        ((0, -2), 12, "worse"),
    ],
)
def test_outcomes_follow_the_intervals(gains, num_clips, outcome):
    assert outcome_of(table("seed", gains, num_clips)) == outcome


def test_a_clear_gain_is_said_with_its_figures():
    verdict = judge({"seed": table("seed", (3.5, 2.25))})
    assert verdict.headline == (
        "Restored audio is closer to the original on 12 clips never heard in training, by both measures."
    )
    assert (
        "Log-spectral distance fell from 12.0 to 8.50 dB, by 3.50 dB (95 % interval 3.48 to 3.52)" in verdict.sentence
    )
    assert "SI-SDR rose from 5.00 to 7.25 dB, by 2.25 dB" in verdict.sentence
    assert verdict.harm == ()


def test_a_gain_of_one_measure_is_not_said_to_be_two():
    assert "by one measure of two" in judge({"seed": table("seed", (3.5, 0.0))}).headline


def test_a_sure_change_of_nothing_much_is_no_success():
    verdict = judge({"seed": table("seed", (0.05, 0.05))})
    assert verdict.headline == "Restoration makes no clear difference on 12 clips never heard in training."
    assert verdict.sentence.count("too little to matter") == 2
    assert verdict.harm == ()


def test_harm_by_a_measure_that_does_not_decide_is_named():
    def clip(index):
        row = {"lsd_db": 12.0, "si_sdr_db": 5.0, "lufs_delta": 0.0}
        restored = {"lsd_db": 9.0 + 0.01 * index, "si_sdr_db": 7.0, "lufs_delta": 2.0 + 0.1 * index}
        return ClipMeasures(f"clip{index}", f"{index}", row, restored, row)

    items = tuple(clip(index) for index in range(8))
    found = MetricTable("aaaa", "seed", "digest", "path", items, *summarise(items, seed=1))
    assert outcome_of(found) == "better"
    (sentence,) = judge({"seed": found}).harm
    assert sentence.startswith("Loudness error got worse on original-recipe clips, by 2.35 LU (2.")


def test_harm_is_named_with_its_size():
    verdict = judge({"seed": table("seed", (3, 2)), "hum": table("hum", (-1.5, 2)), "mp3": table("mp3", (1, 1))})
    assert verdict.harm == ("1 of 2 other kinds came out worse by at least one measure: hum (LSD by 1.50 dB).",)
    assert verdict.outcomes == {"seed": "better", "hum": "mixed", "mp3": "better"}


def test_a_worse_main_kind_is_the_headline():
    verdict = judge({"seed": table("seed", (-3, -2))})
    assert verdict.headline == "Restoration makes 12 clips never heard in training worse."
    assert "rose from 12.0 to 15.0 dB, by 3.00 dB (95 % interval 2.98 to 3.02)" in verdict.sentence
    assert "SI-SDR fell from 5.00 to 3.00 dB" in verdict.sentence
    assert any("12 of the 12 original-recipe clips lost" in sentence for sentence in verdict.harm)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.234, "1.23"), (12.34, "12.3"), (-0.5, "−0.50"), (-0.001, "0.00"), (9.96, "10.0"), (0, "0.00")],
)
def test_figures_have_as_many_places_as_they_deserve(value, text):
    assert number(value) == text
