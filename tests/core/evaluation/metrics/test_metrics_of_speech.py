"""Each judge of speech twice: a value that is known, and more damage is worse."""

import numpy as np
import pytest
from measured_sounds import falls, measured, noise

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import NotMeasurable
from audiobuff_core.evaluation.metrics.speech_mos import dnsmos_opinions, plcmos_opinion

RATE = 16_000


def voice(seconds=3.0):
    """A buzz through three formants that move, in syllables: enough of a voice for the judges."""
    times = np.arange(round(seconds * RATE)) / RATE
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * times)
    phase = np.cumsum(pitch) / RATE
    formants = [(500, 90), (1400, 140), (2600, 200)]
    sound = np.zeros_like(times)
    for number in range(1, 30):
        hertz = number * pitch
        height = sum(
            1 / (1 + ((hertz - centre * (1 + 0.25 * np.sin(2 * np.pi * 1.3 * times))) / width) ** 2)
            for centre, width in formants
        )
        sound += height * np.sin(2 * np.pi * number * phase)
    syllables = np.clip(np.sin(2 * np.pi * 2.2 * times), 0, None) ** 0.5
    return 0.1 * sound * syllables + noise("room", len(times), 1e-4)


def with_lost_packets(sound):
    """40 ms of every 100 are gone."""
    lossy = sound.copy()
    for first in range(0, len(sound), 1600):
        lossy[first : first + 640] = 0
    return lossy


@pytest.fixture(scope="module")
def clean():
    return voice()


@pytest.fixture(scope="module")
def worse(clean):
    hiss = noise("hiss", len(clean), np.sqrt(np.mean(clean**2)))
    return [clean + hiss * 10 ** (-ratio_db / 20) for ratio_db in (20, 5, -10)]


@pytest.mark.parametrize(("name", "best"), [("pesq_mos", 4.644), ("stoi", 1.0), ("estoi", 1.0)])
def test_a_copy_has_the_published_best_value(name, best, clean):
    assert measured(name, clean, clean, RATE) == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize("name", ["pesq_mos", "stoi", "estoi"])
def test_more_noise_is_worse(name, clean, worse):
    assert falls(name, [measured(name, clean, estimate, RATE) for estimate in [clean, *worse][:3]])


@pytest.mark.slow
def test_dnsmos_is_that_of_its_authors_and_falls_with_damage(clean, worse):
    from speechmos import dnsmos

    told = dnsmos_opinions(Waveform(clean.astype(np.float32)[None], RATE))
    published = dnsmos.run(clean.astype(np.float32), RATE)
    assert told == {name: pytest.approx(float(published[name]), abs=1e-4) for name in told}
    # The opinion on the speech alone overlooks noise beside it, and falls with pieces of it that are gone.
    damages = {"dnsmos_ovrl": worse[1], "dnsmos_bak": worse[1], "dnsmos_sig": with_lost_packets(clean)}
    for name, damaged in damages.items():
        assert falls(name, [measured(name, clean, estimate, RATE) for estimate in (clean, damaged)])


def test_plcmos_is_that_of_its_authors_each_time_and_falls_with_lost_packets(clean):
    from speechmos import plcmos

    spoken = Waveform(clean.astype(np.float32)[None], RATE)
    state = np.random.get_state()
    told = plcmos_opinion(spoken)
    assert (np.random.get_state()[1] == state[1]).all()
    assert plcmos_opinion(spoken) == told
    np.random.seed(0)  # its raters are drawn
    published = plcmos.run(spoken.samples[0], RATE)["plcmos"]
    np.random.set_state(state)
    assert told == pytest.approx(published, abs=1e-4)
    lossy = with_lost_packets(clean)
    assert falls("plcmos", [measured("plcmos", clean, estimate, RATE) for estimate in (clean, lossy)])


def test_what_is_too_short_or_no_speech_has_no_value(clean):
    with pytest.raises(NotMeasurable, match=r"less than 0\.4 s"):
        measured("stoi", clean[:2000], clean[:2000], RATE)
    with pytest.raises(NotMeasurable, match="shorter than a quarter of a second"):
        measured("pesq_mos", clean[:2000], clean[:2000], RATE)


def test_what_is_louder_than_full_scale_is_judged_as_it_is_turned_down(clean):
    loud = Waveform((20 * clean).astype(np.float32)[None], RATE)
    assert 1 <= plcmos_opinion(loud) <= 5
