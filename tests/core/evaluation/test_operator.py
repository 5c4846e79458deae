"""The operator has the right tool for every fault that has one, and never does harm."""

import math
from dataclasses import replace

import numpy as np
import pytest
from peer_cases import RATE, music, row_of

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.kinds import KINDS_TABLE
from audiobuff_core.degradation.plan import Fault, draw_row
from audiobuff_core.degradation.recipe import TABLE_MARK
from audiobuff_core.degradation.render import render
from audiobuff_core.errors import DataMissing, InvalidAudio
from audiobuff_core.evaluation.metrics.lsd import lsd_db
from audiobuff_core.evaluation.metrics.si_sdr import si_sdr_db
from audiobuff_core.evaluation.peers.operator import NOTHING, operate
from audiobuff_core.evaluation.peers.peer import Case
from audiobuff_core.evaluation.peers.tools import TOOLS

WITHOUT_TOOL = {"wow_flutter", "compressor", "softening", "over_suppression", "mp3", "codec"}


def damaged_by(*faults, clean):
    row = row_of(*faults)
    return Case(render(row, clean), row, clean)


def test_operator_has_a_tool_for_every_kind_but_those_that_have_none():
    assert set(TOOLS) == set(KINDS_TABLE) - WITHOUT_TOOL


@pytest.mark.parametrize("kind", [kind for kind in KINDS_TABLE if kind != "environment"])
def test_operator_with_the_clean_recording_does_no_harm(kind):
    clean = music(1 if kind in ("clicks", "crackle") else 2, seconds=0.5)
    name = TABLE_MARK + {"filters": "hum", "overdrive": "hum"}.get(kind, kind)
    row = draw_row("track", f"hash of {kind}", recipe=name, seed=3, variant=0)
    if kind in ("filters", "overdrive"):
        faults = {fault.kind: fault for fault in draw_row("track", "h", recipe="seed", seed=3, variant=0).faults}
        row = replace(row, faults=(faults[kind],))
    damaged = render(row, clean)
    outcome = operate(Case(damaged, row, clean))
    assert [told.split(": ")[0] for told in outcome.how] == [fault.kind for fault in reversed(row.faults)]
    if outcome.how[-1].endswith(NOTHING):
        assert outcome.waveform is damaged
        return
    pairs = [
        (function(one, before.astype(np.float64)), function(one, after.astype(np.float64)))
        for function in (
            lsd_db,
            lambda one, other: -si_sdr_db(one, other),
            lambda one, other: np.square(one - other).sum(),
        )
        for one, before, after in zip(
            clean.samples.astype(np.float64), damaged.samples, outcome.waveform.samples, strict=True
        )
    ]
    assert any(after < before for before, after in pairs)
    assert kind not in WITHOUT_TOOL


@pytest.mark.parametrize(
    ("fault", "least_gain_db"),
    [
        (Fault("dc_offset", {"offset": 0.05}), 10),
        (Fault("level", {"gain": 0.1, "jitter_db": 0.0, "target": "kept"}), 30),
        (Fault("stereo", {"mode": "polarity", "channel": 1}), 60),
        (Fault("stereo", {"mode": "imbalance", "difference_db": 9.0}), 60),
        (Fault("stereo", {"mode": "width", "width": 0.2}), 40),
        (Fault("eq", {"mode": "tilt", "slope_db_per_octave": 3.0}), 20),
        (Fault("eq", {"mode": "shelf", "side": "high", "corner_hz": 2000.0, "gain_db": -9.0}), 20),
        (Fault("filters", {"highpass_hz": 200.0, "lowpass_hz": 5000.0, "quality": 0.7071}), 10),
        (Fault("rumble", {"center_hz": 30.0, "width_hz": 10.0, "snr_db": 0.0}), 10),
    ],
)  # fmt: skip
def test_operator_undoes_what_can_be_undone(fault, least_gain_db):
    clean = music(2)
    case = damaged_by(fault, clean=clean)

    def error_db(waveform):
        return 10 * math.log10(np.square(waveform.samples - clean.samples, dtype=np.float64).sum() + 1e-12)

    assert error_db(operate(case).waveform) < error_db(case.damaged) - least_gain_db


def test_operator_undoes_faults_from_the_last_to_the_first():
    clean = music(2)
    offset, turned = Fault("dc_offset", {"offset": 0.05}), Fault("stereo", {"mode": "polarity", "channel": 0})
    outcome = operate(damaged_by(offset, turned, clean=clean))
    assert outcome.how == ("stereo: channels put right", "dc_offset: mean taken off")
    assert np.abs(outcome.waveform.samples - clean.samples).max() < 0.01


def test_operator_without_the_clean_recording_takes_the_usual_tool():
    clean = music(2)
    row = row_of(Fault("mp3", {}), Fault("dc_offset", {"offset": 0.05}))
    case = Case(Waveform(clean.samples + np.float32(0.05), RATE), row)
    outcome = operate(case)
    assert outcome.how == ("dc_offset: mean taken off", f"mp3: {NOTHING}")
    assert abs(outcome.waveform.samples.mean()) < 1e-4


def test_operator_leaves_the_undamaged_alone_and_refuses_the_unknown():
    clean = music()
    assert operate(Case(clean, row_of(), clean)).waveform is clean
    with pytest.raises(DataMissing, match="not known"):
        operate(Case(clean))
    with pytest.raises(InvalidAudio, match="expected"):
        operate(Case(clean, row_of(), music(2)))
