"""Shards are planned and damaged: rows first, then audio that matches its rows, and never a held-out track."""

import numpy as np
import pytest

from audiobuff_core.audio.loudness import level_gain
from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.data.damage import degrade_shard, load_degraded, load_planned, plan_shard
from audiobuff_core.data.ingest import ingest_shard, load_pristine
from audiobuff_core.data.library import register_shards
from audiobuff_core.degradation import render as rendering
from audiobuff_core.errors import DataMissing, InvalidConfig
from audiobuff_core.treatment import chain
from audiobuff_core.treatment.protocols import Repair, Treated

NUM_TRACKS = 12


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "root")


@pytest.fixture
def shard(root, tmp_path):
    for index in range(NUM_TRACKS):
        samples = np.random.default_rng(index).uniform(-0.5, 0.5, (1, 16_000)).astype(np.float32)
        write_audio(tmp_path / "in" / f"t{index}.wav", Waveform(samples, 44_100))
    (registered,) = register_shards(root, str(tmp_path / "in"), date="20250101")
    ingest_shard(root, registered)
    return registered.key


@pytest.fixture
def rendered(monkeypatch):
    """Rows as they are rendered."""
    rows = []
    render = rendering.render

    def counting(row, waveform):
        rows.append(row)
        return render(row, waveform)

    monkeypatch.setattr(rendering, "render", counting)
    return rows


def sides(root, shard):
    return {track.track_id: track.split for track in load_pristine(root, shard).tracks}


def test_every_track_but_the_held_out_ones_is_planned(root, shard):
    planned = plan_shard(root, shard, variants=3)
    split = sides(root, shard)
    assert "held_out" in split.values()
    wanted = {(track_id, k) for track_id, side in split.items() if side != "held_out" for k in range(3)}
    assert {(row.track_id, row.variant) for row in planned.rows} == wanted
    assert load_planned(root, shard) == planned


def test_damage_matches_its_rows_and_its_clean_audio(root, shard):
    planned = plan_shard(root, shard)
    made = degrade_shard(root, shard)
    assert load_degraded(root, shard) == made
    assert sorted(map(repr, (item.row for item in made.items))) == sorted(map(repr, planned.rows))
    split = sides(root, shard)
    for item in made.items:
        clean, damaged = read_audio(item.clean_path), read_audio(item.path)
        expected = rendering.render(item.row, clean)
        np.testing.assert_array_equal(damaged.samples, expected.samples)
        assert item.num_samples == clean.num_samples == damaged.num_samples
        assert item.gain == pytest.approx(level_gain(damaged))
        assert item.split == split[item.track_id] != "held_out"


UNTREATED = ("noise", "low_noise", "lost_band")


@pytest.fixture
def halved(monkeypatch):
    """Stands for the treatments: halves every recording whose first sample is above 0, and leaves the others."""

    def treat(waveform, *, without):
        assert without == UNTREATED  # a network that is asked about noise has to hear it, and a flow fills bands itself
        repair = Repair("halved", 0.0, waveform.duration_seconds, (0,), -10.0, 1.0)
        return Treated(waveform.scaled(0.5), (repair,)) if waveform.samples[0, 0] > 0 else Treated(waveform)

    monkeypatch.setattr(chain, "treat", treat)
    return treat


def test_the_network_hears_damaged_audio_after_the_treatments(root, shard, halved):
    plan_shard(root, shard)
    made = degrade_shard(root, shard)
    treated = [item for item in made.items if item.heard_path != item.path]
    assert 0 < len(treated) < len(made.items)
    for item in made.items:
        expected = halved(read_audio(item.path), without=UNTREATED).waveform
        np.testing.assert_array_equal(read_audio(item.heard_path).samples, expected.samples)
        assert item.gain == pytest.approx(level_gain(expected))


def test_a_lost_treated_file_is_made_again(root, shard, halved, tmp_path):
    plan_shard(root, shard)
    first = degrade_shard(root, shard)
    lost = min(tmp_path.glob("root/audio/degraded/*/*.treated.wav"))
    lost.unlink()
    assert degrade_shard(root, shard) == first
    assert lost.is_file()


def test_options_change_rows_and_digests(root, shard):
    plans = [
        plan_shard(root, shard, **options)
        for options in ({}, {"seed": 2}, {"recipe": "seed"}, {"variants": 1}, {"seed": 2})
    ]
    assert len({plan.digest for plan in plans}) == 4
    assert plans[1] == plans[4]


def test_a_second_run_renders_nothing(root, shard, rendered):
    plan_shard(root, shard)
    first = degrade_shard(root, shard)
    assert len(rendered) == len(first.items)
    assert degrade_shard(root, shard) == first
    assert len(rendered) == len(first.items)


def test_only_a_deleted_file_is_rendered_again_with_the_same_bytes(root, shard, rendered, tmp_path):
    plan_shard(root, shard)
    first = degrade_shard(root, shard)
    (path,) = tmp_path.glob(f"root/audio/degraded/*/{first.items[3].track_id}.v{first.items[3].variant}.wav")
    before = path.read_bytes()
    path.unlink()
    with pytest.raises(DataMissing, match="audio/degraded"):
        load_degraded(root, shard)
    rendered.clear()
    assert degrade_shard(root, shard) == first
    assert rendered == [first.items[3].row]
    assert path.read_bytes() == before


def test_rows_that_stay_keep_their_files_and_unwanted_ones_go(root, shard, rendered, tmp_path):
    plan_shard(root, shard, variants=2)
    two = degrade_shard(root, shard)
    plan_shard(root, shard, variants=1)
    rendered.clear()
    one = degrade_shard(root, shard)
    assert rendered == []
    assert [item.row for item in one.items] == [item.row for item in two.items if item.variant == 0]
    assert len(list(tmp_path.glob("root/audio/degraded/*/*.wav"))) == len(one.items)


def test_an_interruption_with_other_options_leaves_nothing_mistaken(root, shard, monkeypatch):
    plan_shard(root, shard)
    first = degrade_shard(root, shard)
    before = {item.path: read_audio(item.path).samples for item in first.items}
    plan_shard(root, shard, seed=99)
    render, done = rendering.render, []

    def breaking(row, waveform):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(row)
        return render(row, waveform)

    monkeypatch.setattr(rendering, "render", breaking)
    with pytest.raises(KeyboardInterrupt):
        degrade_shard(root, shard)
    monkeypatch.setattr(rendering, "render", render)
    plan_shard(root, shard)
    assert degrade_shard(root, shard) == first
    for item in first.items:
        np.testing.assert_array_equal(read_audio(item.path).samples, before[item.path])


def test_steps_out_of_order_say_which_step_is_missing(root, shard):
    with pytest.raises(DataMissing, match="materialise degradation/plan"):
        degrade_shard(root, shard)
    with pytest.raises(DataMissing, match="materialise audio/pristine"):
        plan_shard(root, "20250101-00000000")
    with pytest.raises(DataMissing, match="materialise audio/degraded"):
        load_degraded(root, shard)


def test_a_plan_of_other_audio_is_refused(root, shard, tmp_path):
    from audiobuff_core.data.library import load_shard

    plan_shard(root, shard)
    ingest_shard(root, load_shard(root, shard), sample_rate=16_000)
    with pytest.raises(DataMissing, match="materialise degradation/plan again"):
        degrade_shard(root, shard)


@pytest.mark.parametrize("options", [{"recipe": "tape"}, {"variants": 0}])
def test_odd_options_are_refused(root, shard, options):
    with pytest.raises(InvalidConfig):
        plan_shard(root, shard, **options)


def test_an_own_recipe_is_planned_anew_when_it_is_edited_and_its_level_goes_to_the_target(root, shard, tmp_path):
    recipe = tmp_path / "quiet.toml"
    text = "[[fault]]\nkind = 'level'\ngain = 0.25\njitter_db = 0\ntarget = 'scaled'"
    recipe.write_text(text)
    plan_shard(root, shard, recipe=str(recipe), variants=1)
    clean = {track.track_id: read_audio(track.path).samples for track in load_pristine(root, shard).tracks}
    for item in degrade_shard(root, shard).items:
        for path in (item.path, item.clean_path):
            np.testing.assert_allclose(read_audio(path).samples, 0.25 * clean[item.track_id], rtol=1e-5)
    recipe.write_text(text.replace("scaled", "kept"))
    plan_shard(root, shard, recipe=str(recipe), variants=1)
    for item in degrade_shard(root, shard).items:
        np.testing.assert_array_equal(read_audio(item.clean_path).samples, clean[item.track_id])
    assert load_degraded(root, shard).items
    assert not list(tmp_path.glob("root/audio/degraded/*/*.target.wav"))
    recipe.write_text("[[fault]]\nkind = 'level'")
    with pytest.raises(InvalidConfig, match=r"gain is missing.*target is missing"):
        plan_shard(root, shard, recipe=str(recipe))
