"""What every rank says when something is wrong: one line, and none stays."""

import os
import pickle
import shutil
import subprocess
from pathlib import Path

import psutil
import pytest
from launched_ranks import ended, free_port, launch

from audiobuff_core.data.snapshot import Snapshot

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]  # starting ranks is slow on a busy machine


def test_launchers_with_other_flags_are_refused(snapshot: Snapshot, tmp_path: Path) -> None:
    place = ("--nnodes=2", "--master_addr=127.0.0.1", f"--master_port={free_port()}")
    nodes = [
        launch(snapshot.path, tmp_path / "run", 1, *more, launcher=(*place, f"--node_rank={rank}"))
        for rank, more in enumerate([(), ("--lr", "0.5")])
    ]
    for node in nodes:
        code, errors = ended(node)
        assert code != 0
        assert [line for line in errors.splitlines() if line.startswith("error: ")], errors
    assert "disagree about options" in errors


class _Evil:
    def __reduce__(self) -> tuple:
        return (os.system, ("touch ran_the_pickle",))


def _unsealed(root: Path) -> None:
    next(root.rglob("target/**/manifest.json")).unlink()


def _of_another_encoder(root: Path) -> None:
    manifest = next(root.rglob("target/**/manifest.json"))
    manifest.write_text(manifest.read_text().replace('"name": "', '"name": "other-'))


def _emptied(root: Path) -> None:
    for group in ("target", "structure", "semantic"):
        shutil.rmtree(next(root.rglob(group)))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_emptied, "extract the latents of this shard first"),
        (_unsealed, "is not sealed"),
        (_of_another_encoder, "is by other-builtin-mdct"),
    ],
)
def test_latents_that_can_not_be_used_are_one_line_from_every_rank(
    snapshot: Snapshot, tmp_path: Path, spoil, said: str
) -> None:
    shutil.copytree(Path(snapshot.path).parents[1], tmp_path / "root")
    spoil(tmp_path / "root")
    place = tmp_path / "root" / "snapshots" / Path(snapshot.path).name
    _refused(launch(str(place), tmp_path / "run", 2), said)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("sizes", "d_model is 32 there and 48 here"),
        ("truncated", "cut off"),
        ("pickled", "refused"),
        ("unwritable", "Can't write"),
    ],
)
def test_checkpoints_that_can_not_be_used_are_one_line_from_every_rank(
    snapshot: Snapshot, tmp_path: Path, kind: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, more = tmp_path / "run", ()
    if kind == "unwritable":
        (tmp_path / "file").write_text("")
        folder = tmp_path / "file" / "run"
    else:
        code, errors = ended(launch(snapshot.path, folder, 1, "--max_steps", "1"))
        assert code == 0, errors
        place = folder / "checkpoint_epoch_1.pt"
        if kind == "sizes":
            more = ("--d_model", "48")
        elif kind == "truncated":
            place.write_bytes(place.read_bytes()[:5000])
        else:
            place.write_bytes(pickle.dumps(_Evil()))
    _refused(launch(snapshot.path, folder, 2, "--max_steps", "3", *more), said)
    assert not (tmp_path / "ran_the_pickle").exists()


def _refused(process: subprocess.Popen, said: str) -> None:
    family = psutil.Process(process.pid).children(recursive=True)
    code, errors = ended(process)
    assert code != 0
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert 1 <= len(lines) <= 2, errors
    assert any(said in line for line in lines), errors
    assert all(said in line or "lost another one" in line for line in lines), errors
    assert not [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
