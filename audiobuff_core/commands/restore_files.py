"""Restoring many recordings: what is done is skipped, and a bad one is no obstacle to the others."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from audiobuff_core.codecs.file_hash import file_hash
from audiobuff_core.commands.chosen_model import model_in_words
from audiobuff_core.commands.restore_places import RestorePlace, RestorePlan
from audiobuff_core.commands.restored_picture import draw, picture_path
from audiobuff_core.errors import AudioBuffError, DataMissing
from audiobuff_core.files import printable, read_json

if TYPE_CHECKING:
    from audiobuff_core.inference.restorer import Restorer
    from audiobuff_core.inference.settings import RestoreSettings

EXIT_FAILED = 1
DONE_BEFORE = "done before"


@dataclass(frozen=True, slots=True)
class RestoreFiles:
    """What is wanted of every recording."""

    restorer: "Restorer"
    model_place: str
    model_choice: str
    settings: "RestoreSettings"
    delta: bool = False
    spectrogram: bool = False
    dry_run: bool = False


def restore_all(plan: RestorePlan, task: RestoreFiles) -> int:
    """Restore each recording that is not done yet, say how it went, and sum up; 1 if any failed."""
    from audiobuff_core.progress import show_progress

    print(model_in_words(task.model_place, task.model_choice, task.restorer.meta["profile"]))
    _say_without_effect(task)
    done, kept, failed = 0, 0, len(plan.missed)
    for reason in plan.missed:
        print(f"error: {reason}", file=sys.stderr)
    with show_progress():
        for number, place in enumerate(plan.places, start=1):
            head = f"[{number}/{len(plan.places)}] {printable(str(place.source))}"
            try:
                told = DONE_BEFORE if is_done(place, task) else _restored(place, task)
            except (AudioBuffError, OSError) as error:
                failed += 1
                print(f"{head}: error: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
                continue
            kept, done = (kept + 1, done) if told == DONE_BEFORE else (kept, done + 1)
            print(f"{head}: {told}", flush=True)
    verb = "would be restored" if task.dry_run else "restored"
    print(f"{done} {verb}, {kept} done before, {failed} failed")
    return EXIT_FAILED if failed else 0


def _say_without_effect(task: RestoreFiles) -> None:
    only_estimates = task.restorer.only_estimates(task.settings.tau)
    idle = task.settings.without_effect(only_estimates=only_estimates)
    if not idle:
        return
    options = ", ".join(f"--{name.replace('_', '-')}" for name in idle)
    why = "this model's answer at tau 0 is its estimate; --tau above 0 makes it flow"
    print(f"Note: {options} without effect: {why if task.settings.uses_network else 'the network is left out'}")


def is_done(place: RestorePlace, task: RestoreFiles) -> bool:
    """Whether the output is there, whole, of this very input, model and settings."""
    from audiobuff_core.inference.restore_file import Extras, delta_path, report_path, restoration_key

    report, destination = report_path(place.destination), place.destination
    if not (place.source.is_file() and destination.is_file() and report.is_file()):
        return False
    wanted = [delta_path(destination)] * task.delta + [picture_path(destination)] * task.spectrogram
    if not all(path.is_file() for path in wanted):
        return False
    try:
        told = read_json(report)
        found = (told["key"], told["output_sha256"])
    except (DataMissing, KeyError, TypeError):
        return False  # some other file of that name, or one that is not whole: it is made again
    extras = Extras(delta=task.delta)
    identity = task.restorer.identity
    key = restoration_key(file_hash(place.source), identity, task.settings, destination.suffix, extras)
    return found == (key, file_hash(destination))


def _restored(place: RestorePlace, task: RestoreFiles) -> str:
    """Restore one recording; a line about it."""
    from audiobuff_core.audio.recording import read_recording
    from audiobuff_core.inference.restore_file import (
        Extras,
        check_places,
        check_restorable,
        read_restorable,
        restore_file,
    )
    from audiobuff_core.inference.restored_recording import check_settings
    from audiobuff_core.progress import share_bar

    if task.dry_run:
        check_places(place.source, place.destination)
        recording = read_restorable(place.source)
        check_settings(recording, task.settings)
        coding = f"{recording.sample_rate} Hz, {recording.channels} channel(s), {recording.subtype}"
        return f"{recording.duration_seconds:.1f} s, {coding}, to {printable(str(place.destination))}"
    if task.spectrogram:
        check_restorable(place.source, place.destination)
    extras = Extras(delta=task.delta, model_place=task.model_place, model_choice=task.model_choice)
    report = restore_file(
        place.source,
        place.destination,
        task.restorer,
        task.settings,
        extras=extras,
        on_progress=share_bar(place.source.name[:34]),
    )
    if task.spectrogram:
        before = read_recording(place.source)
        draw(before, read_recording(place.destination).stored, report["confidence"], place.destination)
    return _in_words(report, place)


def _in_words(report: dict[str, Any], place: RestorePlace) -> str:
    destination = printable(str(place.destination))
    if report["copied"]:
        return f"nothing to change, copied to {destination}"
    kinds = {kind: sum(one["kind"] == kind for one in report["repairs"]) for kind in report["detected"]}
    told = ", ".join(f"{kind} {count}x" for kind, count in kinds.items())
    limited = f", {len(report['limited_seconds'])} peak(s) held" if report["limited_seconds"] else ""
    return f"{told or 'changed'}{limited}, {report['seconds']:.1f} s, to {destination}"
