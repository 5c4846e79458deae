from pathlib import Path

import numpy as np
import pytest

from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import DataMissing, InvalidAudio
from audiobuff_core.evaluation.held_out import damage_held_out
from audiobuff_core.evaluation.restorations import load_restored, restore_set

IDENTITY = {"checkpoint_sha256": "ab" * 32}


@pytest.fixture
def clips(root, shard):
    return damage_held_out(root, "noise", shards=[shard], clip_seconds=0.5, max_clips=3)


class Counted:
    """A restorer that counts, and fails once it has done `limit` clips."""

    def __init__(self, restore, limit=1000):
        self.restore, self.limit, self.calls = restore, limit, 0

    def __call__(self, waveform):
        if self.calls >= self.limit:
            raise KeyboardInterrupt
        self.calls += 1
        return self.restore(waveform)


def test_every_clip_is_what_the_restorer_gave(root, clips, restore):
    made = restore_set(root, "abcd", "noise", restore=restore, identity=IDENTITY)
    assert [item.track_id for item in made.items] == [item.track_id for item in clips.items]
    for item, clip in zip(made.items, clips.items, strict=True):
        assert np.array_equal(read_audio(item.path).samples, restore(read_audio(clip.degraded_path)).samples)
    assert made == load_restored(root, "abcd", "noise")


def test_the_same_network_is_not_asked_twice(root, clips, restore):
    first, second = Counted(restore), Counted(restore)
    made = restore_set(root, "abcd", "noise", restore=first, identity=IDENTITY)
    assert restore_set(root, "abcd", "noise", restore=second, identity=IDENTITY) == made
    assert (first.calls, second.calls) == (3, 0)


@pytest.mark.parametrize("change", [{"identity": {"checkpoint_sha256": "cd" * 32}}, {"steps": 3}])
def test_another_network_or_option_is_asked_again(root, clips, restore, change):
    restore_set(root, "abcd", "noise", restore=restore, identity=IDENTITY)
    again = Counted(restore)
    restore_set(root, "abcd", "noise", **{"restore": again, "identity": IDENTITY, **change})
    assert again.calls == 3


def test_after_an_interruption_only_the_rest_is_done(root, clips, restore):
    with pytest.raises(KeyboardInterrupt):
        restore_set(root, "abcd", "noise", restore=Counted(restore, limit=2), identity=IDENTITY)
    with pytest.raises(DataMissing, match="materialise evaluation/restorations"):
        load_restored(root, "abcd", "noise")
    rest = Counted(restore)
    made = restore_set(root, "abcd", "noise", restore=rest, identity=IDENTITY)
    assert rest.calls == 1
    assert made.digest == restore_set(root, "efgh", "noise", restore=restore, identity=IDENTITY).digest


def test_a_restorer_that_changes_the_shape_is_refused(root, clips):
    def shorten(waveform):
        return Waveform(waveform.samples[:, :-1].copy(), waveform.sample_rate)

    with pytest.raises(InvalidAudio, match="as its input"):
        restore_set(root, "abcd", "noise", restore=shorten, identity=IDENTITY)
    assert not list(Path(root, "evaluation", "restorations", "abcd", "noise").glob("*.wav"))
