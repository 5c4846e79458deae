"""How far a network is trusted: what the judges are told, what they may do, and that they belong to their weights."""

import shutil

import numpy as np
import pytest
import torch

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import InvalidCheckpoint
from audiobuff_core.inference.agreement import treat_with, treated_and_restored
from audiobuff_core.inference.in_the_box import must_be_in_the_box
from audiobuff_core.inference.opened import open_model
from audiobuff_core.inference.restorer import Restorer
from audiobuff_core.inference.trust import FOUND, WINDOW_CELLS, Proposal, Trust, evidence_of, read_trust
from audiobuff_core.models.schema import TRUST_NAME, load_model, write_export
from audiobuff_core.treatment.protocols import Repair

BANDS = (slice(0, 4), slice(4, 8), slice(8, 16))
FRAME_RATE = 86.0
CELL = round(FRAME_RATE / 4)


def proposal(cells=40, channels=1, repairs=(), seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (channels, cells * CELL, 16)
    parts = [torch.randn(shape, generator=generator) for _ in range(3)]
    return Proposal(0.1 * parts[0], 0.05 * parts[1].abs(), parts[2], FRAME_RATE, BANDS, repairs)


def repair(kind, start, end, channels=(0,)):
    return Repair(kind, start, end, channels, -20.0, 1.0)


def trust_of(bias):
    """One that is as sure as this logit says, whatever it is told."""
    features = evidence_of(proposal()).shape[2]
    trust = Trust(torch.zeros(features), torch.ones(features), 2).eval()
    for judge in trust.judges:
        torch.nn.init.zeros_(judge.last.weight)
        torch.nn.init.constant_(judge.last.bias, bias)
    return trust


@pytest.mark.parametrize("cells", [1, 7, WINDOW_CELLS, 40])
def test_evidence_is_finite_whatever_is_heard(cells):
    for scale in (0.0, 1.0, 1e4):
        one = proposal(cells)
        silent = Proposal(scale * one.correction, scale * one.doubt, scale * one.damaged, FRAME_RATE, BANDS)
        evidence = evidence_of(silent)
        assert evidence.shape[:2] == (1, cells)
        assert evidence.shape[3] == len(BANDS)
        assert torch.isfinite(evidence).all()


def test_a_recording_no_longer_than_the_window_is_judged_as_one():
    evidence = evidence_of(proposal(WINDOW_CELLS))
    assert torch.equal(evidence, evidence[:, :1].expand_as(evidence))


def test_what_is_far_away_is_not_told():
    near, whole = proposal(80), proposal(80)
    whole.correction[:, 60 * CELL :] *= 100
    same = slice(0, 60 - WINDOW_CELLS // 2 + 1)
    assert torch.equal(evidence_of(near)[:, same], evidence_of(whole)[:, same])
    assert not torch.equal(evidence_of(near)[:, 60:], evidence_of(whole)[:, 60:])


def test_repairs_are_told_around_where_they_are_and_in_their_channels():
    found = [repair("clicks", 6.0, 6.1, (1,)), repair("hum", -5.0, 99.0, (0, 1)), repair("dc_offset", 0.0, 1.0)]
    marks = proposal(80, channels=2, repairs=found).finds_around()
    assert marks[0].sum() == 80 * WINDOW_CELLS
    assert (marks[:, FOUND.index("hum")] == WINDOW_CELLS).all()
    clicks = marks[1, FOUND.index("clicks")].nonzero()[:, 0]
    assert clicks.tolist() == list(range(23 - WINDOW_CELLS // 2 + 1, 23 + WINDOW_CELLS // 2 + 1))
    assert not proposal(40, repairs=[repair("clicks", -3.0, -2.0)]).finds_around().any()


@pytest.mark.parametrize(("bias", "share"), [(9.0, 1.0), (-9.0, 0.0)])
def test_what_the_judges_are_sure_of_is_corrected_in_full_and_what_they_doubt_is_not(bias, share):
    one = proposal(repairs=[repair("hum", 0.0, 10.0)])
    assert torch.equal(trust_of(bias).trusted(one), share * one.correction)


def test_a_correction_far_below_its_doubt_is_not_made_however_sure_the_judges_are():
    one = proposal(repairs=[repair("hum", 0.0, 10.0)])
    one.doubt[..., BANDS[1]] *= 10
    trusted = trust_of(9.0).trusted(one)
    assert not trusted[..., BANDS[1]].any()
    assert torch.equal(trusted[..., BANDS[0]], one.correction[..., BANDS[0]])


@pytest.mark.parametrize("kind", ["quantisation", "lost_band"])
def test_what_may_be_how_a_recording_was_made_is_no_fault(kind):
    assert not trust_of(9.0).trusted(proposal(repairs=[repair(kind, 0.0, 10.0)])).any()


@pytest.mark.parametrize(("seconds", "is_fault"), [((1.0, 1.1, 1.2), False), ((0.5, 1.5, 2.5, 3.5), True)])
def test_a_few_clicks_are_no_fault_and_many_are(seconds, is_fault):
    clicks = [repair("clicks", start, start + 0.001) for start in seconds]
    assert trust_of(9.0).trusted(proposal(WINDOW_CELLS, repairs=clicks)).any() == is_fault


def test_nothing_is_trusted_where_no_treatment_found_anything_and_what_is_comes_and_goes_slowly():
    assert not trust_of(9.0).trusted(proposal()).any()
    one = proposal(120, repairs=[repair("clipping", 0.0, 0.1)])
    share = (trust_of(9.0).trusted(one) / one.correction)[0].mean(dim=-1)
    assert (share[: 5 * CELL] == 1).all()
    assert not share[40 * CELL :].any()
    assert float((share[1:] - share[:-1]).abs().max()) < 0.01


def test_trust_comes_back_from_its_file_and_only_for_its_weights():
    trust = trust_of(0.3)
    back = read_trust(trust.to_bytes("abc"), "there", "abc")
    one = proposal(repairs=[repair("gaps", 1.0, 2.0)])
    assert torch.equal(back.trusted(one), trust.trusted(one))
    assert back.sha256() == trust.sha256()
    with pytest.raises(InvalidCheckpoint, match="taught with weights abc, beside it lie def"):
        read_trust(trust.to_bytes("abc"), "there", "def")
    with pytest.raises(InvalidCheckpoint, match="there is not whole"):
        read_trust(trust.to_bytes("abc")[:-9], "there", "abc")
    with pytest.raises(InvalidCheckpoint, match="there is not whole"):
        read_trust(b"", "there", "abc")


def test_a_model_brings_its_trust_along(tmp_path):
    shutil.copytree(must_be_in_the_box(), tmp_path / "model")
    place = tmp_path / "model" / TRUST_NAME
    place.unlink(missing_ok=True)
    opened = open_model(str(tmp_path / "model"))
    assert opened.trust is None
    place.write_bytes(trust_of(9.0).to_bytes(opened.content_hash))
    assert open_model(str(tmp_path / "model")).trust is not None
    place.write_bytes(trust_of(9.0).to_bytes("another"))
    with pytest.raises(InvalidCheckpoint, match="write it anew by corpus/trust"):
        open_model(str(tmp_path / "model"))


def test_an_export_over_an_earlier_one_takes_its_trust_away(tmp_path):
    loaded = load_model(must_be_in_the_box())
    (tmp_path / TRUST_NAME).write_bytes(trust_of(9.0).to_bytes("another"))
    write_export(str(tmp_path), loaded.model.state_dict(), loaded.model.config, loaded.standardisers, loaded.meta)
    assert open_model(str(tmp_path)).trust is None


def test_a_network_that_is_trusted_changes_more_and_one_that_is_not_changes_the_same(tmp_path):
    noisy = 0.1 * np.random.default_rng(0).standard_normal((1, 2 * 44_100)).astype(np.float32)
    opened = open_model(must_be_in_the_box())
    results = []
    for trust in (None, trust_of(-9.0), trust_of(9.0)):
        restorer = Restorer(opened)
        restorer.trust = trust
        results.append(restorer.restore(noisy, 44_100, repairs=[repair("hum", 0.0, 2.0)]))
    assert np.array_equal(results[0], results[1])
    change = [float(np.square(one - noisy).sum()) for one in results]
    assert change[2] > 2 * change[0]


def test_what_treatments_find_is_told_to_the_network():
    seconds = np.arange(3 * 44_100) / 44_100
    noise = 0.05 * np.random.default_rng(0).standard_normal(len(seconds))
    humming = noise + sum(0.2 / n * np.sin(2 * np.pi * 50 * n * seconds) for n in range(1, 8))
    waveform = Waveform(humming[np.newaxis].astype(np.float32), 44_100)
    restorer = Restorer(open_model(must_be_in_the_box()))
    restorer.trust = trust_of(9.0)
    treated = treat_with(restorer, waveform)
    assert "hum" in {repair.kind for repair in treated.repairs}
    told, untold = treated_and_restored(restorer, waveform), restorer.restore(treated.waveform)
    assert np.square(told.samples - treated.waveform.samples).sum() > np.square(untold.samples - told.samples).sum() > 0
