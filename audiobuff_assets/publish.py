"""Puts the results where a person finds them: report, summary, audio and weights."""

import filecmp
import shutil
from pathlib import Path

from audiobuff_assets.summary import Summary
from audiobuff_core.evaluation.held_out import MAIN_KIND, load_held_out
from audiobuff_core.evaluation.restorations import load_restored
from audiobuff_core.files import atomic_path, join, write_json


def publish(summary: Summary, root: str, checkpoint: str, folder: Path) -> None:
    """Copy the report, the clips of the kind `seed` and the weights into `folder`, and write `summary.json` last.

    Raises:
        OutputNotWritable: `folder` can't be written.
    """
    wanted = {"report.html": join(root, "evaluation", "leaderboard", "report.html")}
    for name in ("weights.safetensors", "config.json"):
        wanted[f"checkpoint/{name}"] = join(root, "checkpoints", checkpoint, name)
    for item in load_held_out(root, MAIN_KIND).items:
        wanted[f"audio/{item.track_id}.clean.wav"] = item.clean_path
        wanted[f"audio/{item.track_id}.degraded.wav"] = item.degraded_path
    for restored in load_restored(root, checkpoint, MAIN_KIND).items:
        wanted[f"audio/{restored.track_id}.restored.wav"] = restored.path
    for name, source in wanted.items():
        _copy(Path(source), folder / name)
    for old in (folder / "audio").glob("*.wav"):  # clips of an earlier seed
        if f"audio/{old.name}" not in wanted:
            old.unlink()
    write_json(folder / "summary.json", summary.as_dict())


def _copy(source: Path, destination: Path) -> None:
    if destination.is_file() and filecmp.cmp(source, destination):  # size and time, which the copy keeps
        return
    with atomic_path(destination) as temporary:
        shutil.copy2(source, temporary)
