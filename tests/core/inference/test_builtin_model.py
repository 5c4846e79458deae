"""The model in the box: small, better than its input on noise, and harmless to what needs no repair."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from audiobuff_assets.corpus_files import corpus_folder
from audiobuff_core.audio.read import read_audio
from audiobuff_core.degradation.plan import Fault, PlanRow
from audiobuff_core.degradation.render import render
from audiobuff_core.evaluation.metrics.si_sdr import si_sdr_db
from audiobuff_core.inference.restorer import Restorer
from audiobuff_core.treatment.chain import treat


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    return Restorer.load()


def _clip(name: str):
    return read_audio(Path(corpus_folder()) / name).mono()


def test_it_is_in_the_box_and_small():
    folder = files("audiobuff_core") / "builtin_model"
    assert (folder / "README.md").is_file()
    assert len((folder / "weights.safetensors").read_bytes()) <= 16_000_000


def test_it_takes_noise_away(restorer):
    clean = _clip("loop_mika.flac")
    row = PlanRow("clip", "0" * 64, 0, "noise", 1337, (Fault("noise", {"color": "white", "snr_db": 6.0}),))
    damaged = render(row, clean)
    restored = restorer.restore(damaged)
    before, after = (si_sdr_db(one.samples[0], clean.samples[0]) for one in (damaged, restored))
    assert after > before + 2.0


# A model that never heard such sounds alone takes them for noise on a recording.
@pytest.mark.parametrize("name", ["guit_em9", "ambi_lunar_land", "ambi_sauna", "drum_cymbal_open", "vinyl_rewind"])
def test_what_needs_no_repair_comes_back_as_it_was(restorer, name):
    clean = _clip(f"{name}.flac")
    restored = restorer.restore(clean)
    assert si_sdr_db(restored.samples[0], clean.samples[0]) >= 45.0
    assert np.mean(restored.samples == clean.samples) > 0.5


# Recordings that do have faults: a clipped drum, the crackle of a record.
NOT_CLEAN = {"tabla_ghe2", "vinyl_hiss"}


@pytest.mark.slow
def test_all_bundled_recordings_without_a_fault_come_back_at_45_db(restorer):
    poor = set()
    for path in sorted(Path(corpus_folder()).glob("*.flac")):
        clean = read_audio(path).mono()
        restored = restorer.restore(treat(clean).waveform).samples[0]
        if not np.array_equal(restored, clean.samples[0]) and si_sdr_db(restored, clean.samples[0]) < 45.0:
            poor.add(path.stem)
    assert poor <= NOT_CLEAN
