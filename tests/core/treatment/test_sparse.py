import numpy as np
import pytest
from sounds_to_treat import RATE, tones

from audiobuff_core.evaluation.metrics.si_sdr import si_sdr_db
from audiobuff_core.treatment import sparse
from audiobuff_core.treatment.sparse import Known, rebuild


def clipped(clean, share_of_peak=0.4):
    level = share_of_peak * np.abs(clean).max()
    bounded = np.clip(clean, -level, level).astype(np.float32)
    return bounded, bounded >= level - 1e-6, bounded <= 1e-6 - level


def si_sdr(clean, samples):
    return si_sdr_db(clean.astype(np.float64), samples.astype(np.float64))


def test_what_is_cut_off_is_found_again_though_nothing_but_its_bound_is_known():
    clean = tones(3.0)
    bounded, above, below = clipped(clean)
    rebuilt = rebuild(bounded, Known.bounds(above, below), RATE)
    assert si_sdr(clean, rebuilt) > si_sdr(clean, bounded) + 10.0


def test_bounds_hold_and_all_else_is_as_it_was():
    bounded, above, below = clipped(tones(3.0))
    rebuilt = rebuild(bounded, Known.bounds(above, below), RATE)
    known = ~(above | below)
    assert np.array_equal(rebuilt[known], bounded[known])
    assert (rebuilt[above] >= bounded[above]).all()
    assert (rebuilt[below] <= bounded[below]).all()
    assert rebuilt.dtype == np.float32


def test_the_seams_of_sections_are_not_heard(monkeypatch):
    clean = tones(6.0)
    bounded, above, below = clipped(clean)
    whole = rebuild(bounded, Known.bounds(above, below), RATE)
    monkeypatch.setattr(sparse, "SECTION_SECONDS", 1.5)
    parts = rebuild(bounded, Known.bounds(above, below), RATE)
    assert si_sdr(clean, parts) > si_sdr(clean, whole) - 3.0


@pytest.mark.parametrize("count", [1, 100, 5000])
@pytest.mark.parametrize("rate", [8000, 192_000])
def test_any_length_and_rate_is_finite(count, rate):
    bounded = np.full(count, 0.5, np.float32)
    everywhere, nowhere = np.ones(count, np.bool_), np.zeros(count, np.bool_)
    assert np.isfinite(rebuild(bounded, Known.bounds(everywhere, nowhere), rate)).all()
    silence = np.zeros(count, np.float32)
    assert not rebuild(silence, Known.all_but(everywhere), rate).any()
