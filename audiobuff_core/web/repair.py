"""The work on one uploaded recording: repair it, and make what the page lets one hear and see."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audiobuff_core.audio.recording import Recording, as_floats, read_recording
from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Samples, Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.evaluation.figures import loudest_db, spectrogram_png
from audiobuff_core.evaluation.restored_figure import restored_figure
from audiobuff_core.files import write_bytes, write_json
from audiobuff_core.inference.restore_file import Extras, delta_path, report_path, restore_file
from audiobuff_core.inference.told_repairs import (
    channels_in_words,
    clock,
    counted,
    heard_size,
    in_words,
    length_in_words,
)
from audiobuff_core.web.jobs import Job

if TYPE_CHECKING:
    from audiobuff_core.inference.restorer import Restorer

VERSIONS = ("before", "after", "difference")
HIGHEST_PREVIEW_RATE = 48_000
WIDTH_PIXELS, HEIGHT_PIXELS = 1_000, 240
SHOWN_REPAIRS = 30
PEAK = 0.99


def repair(job: Job, restorer: "Restorer", model_place: str, model_choice: str) -> None:
    """Repair the upload of `job` with the model of that place and choice; fill its `result` and `files`.

    Raises:
        AudioBuffError: the recording can't be read or repaired.
    """
    restored = job.upload.with_name(f"restored{job.upload.suffix}")
    extras = Extras(delta=True, model_place=model_place, model_choice=model_choice)

    def on_progress(share: float) -> None:
        job.on_progress(0.9 * share)  # the rest is for what is heard and seen

    report = restore_file(job.upload, restored, restorer, job.settings, extras=extras, on_progress=on_progress)
    before, after = read_recording(job.upload), read_recording(restored)
    job.on_progress(0.93)
    _make_previews(job.folder, before, after)
    job.on_progress(0.97)
    was, now = (as_floats(one.stored[:1])[0] for one in (before, after))
    write_bytes(job.folder / "map.png", restored_figure(was, now, before.sample_rate, report["confidence"]))
    job.files = {f"{name}.{suffix}": job.folder / f"{name}.{suffix}" for name in VERSIONS for suffix in ("flac", "png")}
    job.files |= {
        "restored": restored,
        "removed": delta_path(restored),
        "report": report_path(restored),
        "map": job.folder / "map.png",
    }
    write_json(report_path(restored), report | {"input": job.name, "output": f"restored {job.name}", "delta": None})
    job.result = told(report)
    job.on_progress(1.0)


def _make_previews(folder: Path, before: Recording, after: Recording) -> None:
    """Before, after and their difference as 16-bit FLAC at one gain, and their spectrograms on one scale."""
    was, now = before.floats(), after.floats()
    length = min(was.shape[1], now.shape[1])  # a lossy coding may pad
    heard = [_playable(one[:, :length], before.sample_rate) for one in (was, now)]
    peak = max(float(np.abs(one.samples).max()) for one in heard)
    gain = min(1.0, PEAK / peak) if peak > 0 else 1.0
    first, second = (one.scaled(gain) for one in heard)
    removed = Waveform(np.clip(first.samples - second.samples, -1, 1), first.sample_rate)
    top_db = loudest_db(first.samples[0], first.sample_rate)
    for name, waveform in zip(VERSIONS, (first, second, removed), strict=True):
        write_audio(folder / f"{name}.flac", waveform, subtype="PCM_16")
        picture = spectrogram_png(
            waveform.samples[0], waveform.sample_rate, top_db=top_db, width=WIDTH_PIXELS, height=HEIGHT_PIXELS
        )
        write_bytes(folder / f"{name}.png", picture)


def _playable(samples: Samples, sample_rate: int) -> Waveform:
    """What every browser plays: one or two channels, at most 48 kHz."""
    few = samples if len(samples) <= 2 else samples.mean(axis=0, keepdims=True)
    return resample(Waveform(np.ascontiguousarray(few), sample_rate), min(sample_rate, HIGHEST_PREVIEW_RATE))


def told(report: dict[str, Any]) -> dict[str, Any]:
    """What the page shows of a report."""
    largest = sorted(report["repairs"], key=heard_size, reverse=True)[:SHOWN_REPAIRS]
    return {
        "copied": report["copied"],
        "kinds": [{"kind": kind, "words": in_words(kind), "count": count} for kind, count in counted(report).items()],
        "num_repairs": len(report["repairs"]),
        "repairs": [
            {
                "words": in_words(one["kind"]),
                "start_seconds": one["start_seconds"],
                "place": clock(one["start_seconds"]),
                "length": length_in_words(one["end_seconds"] - one["start_seconds"]),
                "channels": channels_in_words(one["channels"], report["channels"]),
                "size_db": one["size_db"],
                "confidence": one["confidence"],
            }
            for one in largest
        ],
        "duration": clock(report["num_samples"] / report["sample_rate"]),
        "coding": f"{report['format']['coding'].replace('_', ' ')}, {report['sample_rate'] / 1000:g} kHz, "
        + {1: "mono", 2: "stereo"}.get(report["channels"], f"{report['channels']} channels"),
        "seconds": report["seconds"],
        "before": report["before"],
        "after": report["after"],
    }
