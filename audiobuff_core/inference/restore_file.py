"""One damaged file in; one repaired file, what was taken out of it, and a report out."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from audiobuff_core import __version__
from audiobuff_core.audio.measures import STRETCH_SECONDS, measure
from audiobuff_core.audio.output_format import OUTPUT_SUFFIXES, as_output
from audiobuff_core.audio.recording import Recording, Stored, as_floats, blocks_of, read_recording
from audiobuff_core.audio.same_format import write_blocks, write_like
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import WAV_LIMIT_BYTES
from audiobuff_core.codecs.file_hash import file_hash
from audiobuff_core.errors import InvalidAudio, InvalidConfig
from audiobuff_core.files import atomic_path, require_writable, write_json
from audiobuff_core.inference.restored_recording import RestoredRecording, check_settings, restore_recording
from audiobuff_core.inference.restorer import Restorer
from audiobuff_core.inference.settings import RestoreSettings
from audiobuff_core.seeding import digest

SCHEMA: Final = "audiobuff-restoration/1"
SHORTEST_SECONDS = 0.05


def check_restorable(input_path: str | Path, output_path: str | Path) -> None:
    """Refuse, before anything slow, what can't be restored or written.

    Raises:
        AudioNotFound, InvalidAudio: the input is missing, no audio, or shorter than 50 ms.
        InvalidConfig: input and output are the same file, or the output has no known format.
        OutputNotWritable: the output place can't be written.
    """
    check_places(Path(input_path), Path(output_path))
    read_restorable(Path(input_path))
    require_writable(output_path)


def check_places(source: Path, destination: Path) -> None:
    """Refuse an output that is the input, or of a format that we can't make of it.

    Raises:
        InvalidConfig: naming both.
    """
    both = source.exists() and destination.exists()
    if source.resolve() == destination.resolve() or (both and destination.samefile(source)):
        raise InvalidConfig(f"Input and output are both {source}: name another output, the input is never overwritten")
    same = source.suffix.lower() == destination.suffix.lower()
    if not same and destination.suffix.lower() not in OUTPUT_SUFFIXES:
        raise InvalidConfig(
            f"Output {destination} has format {destination.suffix!r}: expected {source.suffix} as the input, or one of "
            f"{', '.join(OUTPUT_SUFFIXES)}"
        )


def read_restorable(source: Path) -> Recording:
    """The recording at `source`, once it is known to be long enough.

    Raises:
        AudioNotFound, InvalidAudio: it is missing, no audio, or shorter than 50 ms.
    """
    recording = read_recording(source)
    if recording.duration_seconds < SHORTEST_SECONDS:
        raise InvalidAudio(
            f"{source} has {recording.num_samples} sample(s), {recording.duration_seconds:.4f} s: expected at least "
            f"{SHORTEST_SECONDS} s to restore"
        )
    return recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What else to write.

    Attributes:
        delta: the difference input - output, as WAV.
        model_place: for the report, where the model lies.
        model_choice: for the report, why it is that one: `named`, `champion` or `builtin`.
    """

    delta: bool = False
    model_place: str | None = None
    model_choice: str | None = None


def restoration_key(
    input_sha256: str, restorer_identity: dict[str, Any], settings: RestoreSettings, suffix: str, extras: Extras
) -> str:
    """Decides whether an earlier restoration is still the one that is asked for."""
    return digest(
        SCHEMA, __version__, input_sha256, restorer_identity, settings.as_dict(), suffix.lower(), extras.delta
    )


def report_path(destination: Path) -> Path:
    """Where the report of a restored file lies: beside it."""
    return destination.with_name(f"{destination.name}.json")


def delta_path(destination: Path) -> Path:
    """Where the difference lies."""
    return destination.with_name(f"{destination.stem}.removed.wav")


def restore_file(
    input_path: str | Path,
    output_path: str | Path,
    restorer: Restorer,
    settings: RestoreSettings | None = None,
    *,
    extras: Extras | None = None,
    sample_rate: int | None = None,
    on_progress: Callable[[float], None] = lambda share: None,
    **windows: Any,  # noqa: ANN401 - those of `Options`
) -> dict[str, Any]:
    """Restore one file; the report, which is written last, beside the output as `<output>.json`.

    The output has the input's coding, tags and cover art where it has its suffix, else the usual coding of its own. A
    recording that comes out unchanged is copied byte for byte.

    Args:
        input_path: damaged recording.
        output_path: where the restored one goes.
        restorer: the network.
        settings: what to do and where.
        extras: what else to write.
        sample_rate: resample to this rate first, in Hz; None keeps the input's.
        on_progress: told the share that is done.
        **windows: `window_frames` and `overlap_frames`, see `restorer.Options`.

    Raises:
        AudioBuffError: as `check_restorable`, a setting does not suit recording or model, or the disk is full.
    """
    settings, extras = settings or RestoreSettings(), extras or Extras()
    source, destination = Path(input_path), Path(output_path)
    check_places(source, destination)
    if extras.delta:
        check_places(source, delta_path(destination))
    recording = as_output(read_restorable(source), destination.suffix, sample_rate)
    check_settings(recording, settings)
    require_writable(destination)
    started = time.monotonic()
    before = measured(recording.stored, recording.sample_rate)
    restored = _restored(recording, restorer, settings, before, on_progress, windows)
    repairs = _numbered(restored.repairs)
    copied = not restored.is_changed and destination.suffix.lower() == source.suffix.lower() and sample_rate is None
    if extras.delta:
        write_delta(delta_path(destination), recording, restored.stored)
    try:
        if copied:
            with atomic_path(destination) as temporary:
                shutil.copyfile(source, temporary)
        else:
            write_like(recording, destination, restored.stored)
    except BaseException:
        if extras.delta:  # it would be that of no output
            delta_path(destination).unlink(missing_ok=True)
        raise
    seconds = time.monotonic() - started
    input_sha256 = file_hash(source)
    report = {
        "schema": SCHEMA,
        "audiobuff": __version__,
        "key": restoration_key(input_sha256, restorer.identity, settings, destination.suffix, extras),
        "input": str(source.absolute()),
        "input_sha256": input_sha256,
        "output": str(destination.absolute()),
        "output_sha256": file_hash(destination),
        "format": {"container": recording.format or destination.suffix[1:].lower(), "coding": recording.subtype},
        "bits": recording.bits or None,
        "sample_rate": recording.sample_rate,
        "channels": recording.channels,
        "num_samples": recording.num_samples,
        "detected": sorted({repair["kind"] for repair in repairs}),
        "repairs": repairs,
        "confidence": restored.confidence,
        "limited_seconds": [[round(edge, 4) for edge in place] for place in restored.limited_seconds],
        "before": before,
        "after": measured(restored.stored, recording.sample_rate),
        "copied": copied,
        "delta": str(delta_path(destination)) if extras.delta else None,
        "settings": settings.as_dict(),
        "without_effect": settings.without_effect(only_estimates=restorer.only_estimates(settings.tau)),
        "steps": settings.steps_of(restorer.meta["inference"]["steps"]),
        "seed": settings.seed,
        "model": restorer.identity,
        "model_place": extras.model_place,
        "model_choice": extras.model_choice,
        "seconds": round(seconds, 3),
        "real_time_factor": round(recording.duration_seconds / max(seconds, 1e-9), 2),
    }
    write_json(report_path(destination), report)
    return report


def _restored(
    recording: Recording,
    restorer: Restorer,
    settings: RestoreSettings,
    before: dict[str, Any],
    on_progress: Callable[[float], None],
    windows: dict[str, Any],
) -> RestoredRecording:
    if settings.strength == 0 or before["peak_db"] is None:  # nothing is wanted, or there is nothing
        on_progress(1.0)
        return RestoredRecording(recording.stored, [], [], False)
    true_peak = 10 ** (before["true_peak_db"] / 20)
    return restore_recording(
        recording, restorer, settings, true_peak=true_peak, on_progress=on_progress, windows=windows
    )


def measured(stored: Stored, sample_rate: int) -> dict[str, Any]:
    """Facts of a recording as its file stores it, see `measure`."""
    stretches = blocks_of(stored, STRETCH_SECONDS * sample_rate)
    return measure(Waveform(as_floats(one), sample_rate) for one in stretches)


def _numbered(repairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """In order of time, with an `id` from 1 on."""
    ordered = sorted(repairs, key=lambda one: (one["start_seconds"], one["end_seconds"], one["kind"]))
    return [{"id": number, **one} for number, one in enumerate(ordered, start=1)]


def write_delta(destination: Path, recording: Recording, stored: Stored) -> None:
    """Input - output as floating-point WAV, wide enough to be exact: restored + removed is the input, to the bit.

    Raises:
        OutputNotWritable: the place is read-only or full; nothing is left there.
    """
    # 17 bits of difference fit single precision, 25 and 33 double.
    coding, kind = ("FLOAT", np.float32) if recording.bits in (8, 16) else ("DOUBLE", np.float64)
    num_bytes = recording.stored.size * np.dtype(kind).itemsize
    container = "WAV" if num_bytes < WAV_LIMIT_BYTES else "RF64"  # a WAV of more than 4 GiB
    as_wav = replace(recording, format=container, subtype=coding, bits=0, is_exact=True)
    scale = 1.0 if recording.bits == 0 else 1.0 / (1 << (recording.stored.dtype.itemsize * 8 - 1))
    pairs = zip(blocks_of(recording.stored), blocks_of(stored), strict=True)
    removed = (((before.astype(np.float64) - after) * scale).astype(kind) for before, after in pairs)
    write_blocks(as_wav, destination, removed, recording.num_samples)
