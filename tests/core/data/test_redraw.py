from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.codecs.registry import EncoderChoice
from audiobuff_core.data.damage import load_planned, plan_shard
from audiobuff_core.data.prepare_latents import PrepareOptions, prepare
from audiobuff_core.data.redraw import draw_again, load_drawn, main
from audiobuff_core.data.snapshot import Snapshot
from audiobuff_core.data.store import open_group
from audiobuff_core.errors import DataMissing, StoreMismatch


@pytest.fixture
def known(tmp_path: Path) -> Snapshot:
    """Five short sounds, prepared with two variants."""
    for index in range(5):
        samples = 0.3 * np.sin(2 * np.pi * 220 * (index + 2) * np.arange(17_640) / 44_100)
        write_audio(tmp_path / "in" / f"{index}.wav", Waveform(samples[None].astype(np.float32), 44_100))
    options = {"source_dir": str(tmp_path / "in"), "out_dir": str(tmp_path / "store"), "seed": 3, "recipe": "seed"}
    return prepare(
        PrepareOptions(
            sample_rate=None, segment_seconds=1.0, max_files=None, variants=2, encoders=EncoderChoice(), **options
        )
    )


def _latents(snapshot: Snapshot, record: str) -> np.ndarray:
    item = snapshot.items[0]
    return np.asarray(open_group(item.groups["target"]).read(record.format(item.track_id), 0, item.num_frames))


def test_another_draw_has_the_same_recordings_and_other_damage(known: Snapshot, tmp_path: Path) -> None:
    first, second = (draw_again(known.path, str(tmp_path / name), number) for name, number in (("1", 1), ("2", 2)))
    essence = [
        [(one.track_id, one.variant, one.split, one.num_frames) for one in made.items] for made in (known, first)
    ]
    assert essence[0] == essence[1]
    damaged = [_latents(made, "{}/v0") for made in (known, first, second)]
    assert not np.array_equal(damaged[0], damaged[1])
    assert not np.array_equal(damaged[1], damaged[2])
    assert not (tmp_path / "1" / "audio" / "pristine").exists(), "recordings are borrowed, not copied"
    shard = known.shards[0]
    assert load_planned(known.root, shard).seed == 3, "the store that lends them is as it was"


def test_a_draw_is_the_same_each_time_and_says_when_it_is_whole(known: Snapshot, tmp_path: Path) -> None:
    assert load_drawn(known, str(tmp_path / "one")) is None
    made = draw_again(known.path, str(tmp_path / "one"), 1)
    again = draw_again(known.path, str(tmp_path / "two"), 1)
    found = load_drawn(known, str(tmp_path / "one"))
    assert found is not None
    assert found.digest == made.digest
    other = replace(known, digest="of another")
    assert load_drawn(other, str(tmp_path / "one")) is None, "what another training left is not taken for its own"
    for record in ("{}/v1", "{}/clean.v1"):
        assert np.array_equal(_latents(made, record), _latents(again, record))


def test_other_recordings_than_the_snapshots_are_refused(known: Snapshot, tmp_path: Path) -> None:
    plan_shard(known.root, known.shards[0], recipe="seed", variants=3, seed=3)
    with pytest.raises(StoreMismatch, match="no longer those of snapshot"):
        draw_again(known.path, str(tmp_path / "draw"), 1)
    assert load_drawn(known, str(tmp_path / "draw")) is None


def test_the_process_says_what_is_wrong_in_a_line(
    known: Snapshot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for plan in Path(known.root, "degradation", "plan").iterdir():
        plan.unlink()
    with pytest.raises(DataMissing):
        draw_again(known.path, str(tmp_path / "draw"), 1)
    assert main([known.path, str(tmp_path / "draw"), "1"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: No degradation plan")
    assert said.count("\n") == 1


def test_a_recipe_in_a_file_is_found_from_any_folder(
    known: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "elsewhere").mkdir()
    text = files("audiobuff_core.degradation").joinpath("recipes", "audiobuff.toml").read_text()
    (tmp_path / "here" / "mine.toml").write_text(text)
    monkeypatch.chdir(tmp_path / "here")
    plan_shard(known.root, known.shards[0], recipe="mine.toml", variants=2, seed=3)
    monkeypatch.chdir(tmp_path / "elsewhere")
    planned = load_planned(known.root, known.shards[0])
    again = plan_shard(str(known.root), known.shards[0], recipe=planned.recipe, variants=2, seed=4)
    assert len(again.rows) == len(planned.rows)
    assert again.digest != planned.digest
