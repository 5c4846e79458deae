import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from audiobuff_core.data.dataset import LatentDataset
from audiobuff_core.data.redraw import draw_again
from audiobuff_core.data.snapshot import Snapshot
from audiobuff_core.errors import InvalidConfig, TrainingFailed
from audiobuff_core.training import fresh
from audiobuff_core.training.config import config_for
from audiobuff_core.training.distributed import Ranks
from audiobuff_core.training.feed import Feed
from audiobuff_core.training.fresh import FreshDamage
from audiobuff_core.training.interruption import DrawInterrupted, TrainingInterrupted
from audiobuff_core.training.run import train

ONE = Ranks(rank=0, world_size=1, device=torch.device("cpu"))


@pytest.fixture
def drawn_here(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Draws are made at once in this process; the numbers of those that were asked for."""
    asked: list[int] = []

    class Here:
        returncode = 0

        def __init__(self, command: list[str], **_: Any) -> None:
            asked.append(int(command[-1]))
            draw_again(command[-3], command[-2], int(command[-1]))

        def poll(self) -> int:
            return 0

        def terminate(self) -> None:
            pass

        def wait(self) -> int:
            return 0

    monkeypatch.setattr(fresh.subprocess, "Popen", Here)
    return asked


@contextmanager
def _damage(snapshot: Snapshot, folder: Path, **overrides: Any) -> Iterator[FreshDamage]:
    config = config_for("test", {"segment_frames": 8, **overrides})
    prepared = LatentDataset(snapshot, "train", segment_frames=config.segment_frames)
    with closing(FreshDamage(prepared, snapshot, config, ONE, str(folder))) as damage:
        yield damage


def _train(snapshot: Snapshot, folder: Path, *, stop_at: int = 0, **overrides: Any) -> dict[str, Any]:
    """What `train` says of three epochs; stopped as by Ctrl-C after step `stop_at`, if there is one."""
    config = config_for("test", {"epochs": 3, "max_steps": 1000, "log_interval": 1, **overrides})

    def told(row: dict[str, Any]) -> None:
        if row["step"] == stop_at:
            os.kill(os.getpid(), signal.SIGINT)

    return train(config, profile="test", snapshot_url=snapshot.path, folder_url=str(folder), ranks=ONE, on_log=told)


def test_every_so_many_epochs_hear_other_damage_of_the_same_sounds(
    snapshot: Snapshot, tmp_path: Path, drawn_here: list[int]
) -> None:
    with _damage(snapshot, tmp_path, fresh_every=2, epochs=6) as damage:
        segments = [damage.at(epoch).segment(0, 1, 2) for epoch in range(6)]
    for one, two in ((0, 1), (2, 3), (4, 5)):
        assert torch.equal(segments[one].damaged.values, segments[two].damaged.values)
    for one, two in ((1, 2), (3, 4), (1, 5)):
        assert not torch.equal(segments[one].damaged.values, segments[two].damaged.values)
    assert drawn_here == [1, 2], "none beyond the last epoch"


def test_old_draws_are_removed_and_all_of_them_at_the_end(
    snapshot: Snapshot, tmp_path: Path, drawn_here: list[int]
) -> None:
    with _damage(snapshot, tmp_path, fresh_every=1, epochs=5) as damage:
        for epoch in range(4):
            damage.at(epoch)
        assert sorted(place.name for place in (tmp_path / "draws").iterdir()) == ["00002", "00003", "00004"]
        damage.remove()
    assert not (tmp_path / "draws").exists()


def test_a_last_step_that_reaches_into_another_epoch_is_no_reason_to_draw(
    snapshot: Snapshot, tmp_path: Path, drawn_here: list[int]
) -> None:
    with _damage(snapshot, tmp_path, fresh_every=1, epochs=2, batch_size=9) as damage:
        feed = Feed(damage, damage.config, ONE)
        steps = -(-feed.num_slots // 9)
        assert feed.num_slots < 9 * steps
        assert len(list(feed.steps(0, steps))) == steps
        assert drawn_here == []
        assert len(list(feed.steps(0, steps + 1))) == steps + 1
    assert drawn_here == [1]


def test_without_the_option_nothing_is_drawn(snapshot: Snapshot, tmp_path: Path, drawn_here: list[int]) -> None:
    with _damage(snapshot, tmp_path, epochs=5) as damage:
        assert damage.at(0) is damage.at(4)
    assert drawn_here == []


@pytest.mark.slow
def test_a_training_that_was_stopped_goes_on_with_the_same_damage(snapshot: Snapshot, tmp_path: Path) -> None:
    whole = _train(snapshot, tmp_path / "whole", fresh_every=1)
    assert not (tmp_path / "whole" / "draws").exists()
    with pytest.raises(TrainingInterrupted):
        _train(snapshot, tmp_path / "parts", fresh_every=1, stop_at=int(whole["steps"]) // 2)
    assert (tmp_path / "parts" / "draws").exists()
    assert _train(snapshot, tmp_path / "parts", fresh_every=1)["weights_sha256"] == whole["weights_sha256"]
    assert _train(snapshot, tmp_path / "prepared")["weights_sha256"] != whole["weights_sha256"]


def test_what_stops_a_draw_stops_training(snapshot: Snapshot, tmp_path: Path) -> None:
    with _damage(snapshot, tmp_path, fresh_every=1) as damage:
        damage.snapshot = replace(snapshot, path=str(tmp_path / "snapshots" / "gone.json"))
        with pytest.raises(TrainingFailed, match=r"Draw 1 .* could not be made: .*gone\.json"):
            damage.at(1)


def test_what_can_not_be_drawn_is_said_before_it_is_needed(snapshot: Snapshot, tmp_path: Path) -> None:
    with _damage(snapshot, tmp_path, fresh_every=1) as damage:
        damage.snapshot = replace(snapshot, path=str(tmp_path / "snapshots" / "gone.json"))
        damage.at(0)
        assert damage._process is not None
        damage._process[1].wait()
        with pytest.raises(TrainingFailed, match="Draw 1"):
            damage.at(0)


def test_stopping_does_not_wait_for_a_draw(snapshot: Snapshot, tmp_path: Path) -> None:
    stopped = threading.Event()
    with _damage(snapshot, tmp_path, fresh_every=1) as damage:
        threading.Timer(0.2, stopped.set).start()
        with pytest.raises(DrawInterrupted):
            damage.at(1, stopped.is_set)
        assert damage._process is not None
        process = damage._process[1]
    assert process.returncode == -signal.SIGTERM


def test_a_number_of_epochs_is_expected(snapshot: Snapshot) -> None:
    with pytest.raises(InvalidConfig, match="fresh_every -1"):
        config_for("test", {"fresh_every": -1})


def test_validation_does_not_change_with_the_draws(snapshot: Snapshot, tmp_path: Path, drawn_here: list[int]) -> None:
    _train(snapshot, tmp_path, fresh_every=1, lr=0.0, ema_decay=0.0)
    rows = [json.loads(line) for line in (tmp_path / "training_log.jsonl").read_text().splitlines()]
    losses = {row["val_loss"] for row in rows if "val_loss" in row}
    assert len(losses) == 1
