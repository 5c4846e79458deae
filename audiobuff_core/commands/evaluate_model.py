"""Damaging clean recordings and restoring them with a model, to measure it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from audiobuff_core.errors import AudioBuffError, DataMissing

if TYPE_CHECKING:
    from audiobuff_core.evaluation.pairs import System


def damage_and_restore(
    model: str, clean: Path, degraded: Path | None, out: Path, *, recipe: str, seed: int, name: str | None = None
) -> "tuple[Path, System, str]":
    """The folder of damaged recordings, the model as a system, and the name of its codec.

    The clean recordings are damaged by `recipe` into `out`/degraded, as floating-point WAV with the row beside each,
    unless a folder of damaged ones is given. They are restored into `out`/restored, as `audiobuff restore` does, with
    its report beside each. What an earlier call left is kept. The system is called `name`, or as its place is.

    Raises:
        AudioBuffError: there is no such model or recipe, or nothing to restore.
    """
    from audiobuff_core.commands.restore_files import RestoreFiles, restore_all
    from audiobuff_core.commands.restore_places import plan_places
    from audiobuff_core.evaluation.pairs import System
    from audiobuff_core.inference.restorer import Restorer
    from audiobuff_core.inference.settings import RestoreSettings

    restorer = Restorer.load(model)
    if degraded is None:
        degraded = out / "degraded"
        _damage_all(clean, degraded, recipe, seed)
    name = name or _row_name(model)
    folder = out / "restored" / name
    plan = plan_places([str(degraded)], folder)
    restore_all(plan, RestoreFiles(restorer, model, "named", RestoreSettings(seed=seed)))
    digest = str(restorer.identity["checkpoint_sha256"])[:12]
    return degraded, System(name, folder, f"checkpoint {digest}"), str(restorer.meta["encoders"]["codec"])


def _damage_all(clean: Path, degraded: Path, recipe: str, seed: int) -> None:
    from audiobuff_core.audio.read import read_audio
    from audiobuff_core.audio.write import write_audio
    from audiobuff_core.commands.degrade_files import Damage
    from audiobuff_core.data.damage import CODE_VERSION
    from audiobuff_core.data.seen import look_through
    from audiobuff_core.degradation.render import render
    from audiobuff_core.files import read_json, write_json
    from audiobuff_core.progress import show_progress, track

    damage = Damage(recipe, seed)
    paths, _ = look_through(str(clean), inboxes=True)
    top = clean.resolve()
    if not paths:
        raise DataMissing(f"No audio in {clean}: expected recordings to damage; check the path")
    with show_progress():
        for path in track([Path(path) for path in paths], f"Damaging: {recipe}"):
            destination = (degraded / path.relative_to(top)).with_suffix(".wav")
            try:
                waveform = read_audio(path, whole=True)
            except AudioBuffError as error:
                print(f"left out: {path.name}: {' '.join(str(error).split())}", file=sys.stderr)
                continue
            row = damage.row_for(path.name, waveform)
            beside = Path(f"{destination}.json")
            facts = {"input": str(path), "row": row.as_dict(), "code_version": CODE_VERSION}
            if destination.is_file() and beside.is_file() and read_json(beside) == facts:
                continue
            write_audio(destination, render(row, waveform))
            write_json(beside, facts)


def _row_name(model: str) -> str:
    """What the row is called: the last part of the place, without suffix."""
    place = Path(model.rstrip("/"))
    name = place.stem if place.suffix else place.name
    return name if name not in ("", "clean", "degraded", "ceiling") else "model"
