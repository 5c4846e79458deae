"""A recording repaired, with every sample that is not concerned left as its file had it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiobuff_core.audio.peaks import limit_peaks
from audiobuff_core.audio.recording import BLOCK_SAMPLES, Recording, Stored, as_floats
from audiobuff_core.audio.waveform import Samples, Waveform
from audiobuff_core.inference.agreement import treat_with
from audiobuff_core.inference.blending import blend, check_band, keep_band
from audiobuff_core.inference.changes import ChangeMeter, FrameEnergies, changed_places
from audiobuff_core.inference.confidence import ConfidenceMap
from audiobuff_core.inference.restorer import Restorer
from audiobuff_core.inference.settings import RestoreSettings, rows_of, span_of
from audiobuff_core.memory import give_back_freed
from audiobuff_core.treatment.protocols import Repair

CONTEXT_SECONDS = 6.0
TREATED_SECONDS, TREATED_JOIN_SECONDS = 300, 1


@dataclass(frozen=True, slots=True, eq=False)
class RestoredRecording:
    """What came of a recording.

    Attributes:
        stored: samples as its file stores them.
        repairs: what was changed and where, as JSON values: by the exact treatments, and by the network.
        limited_seconds: begin and end of the places that were turned down so that they fit the format.
        is_changed: whether any sample differs.
        confidence: the map of how sure the network is, as `ConfidenceMap.as_dict`; None where it was not asked.
    """

    stored: Stored
    repairs: list[dict[str, Any]]
    limited_seconds: list[tuple[float, float]]
    is_changed: bool
    confidence: dict[str, Any] | None = None


def restore_recording(
    recording: Recording,
    restorer: Restorer,
    settings: RestoreSettings,
    *,
    true_peak: float,
    on_progress: Callable[[float], None],
    windows: dict[str, Any] | None = None,
) -> RestoredRecording:
    """Treat and restore `recording` as `settings` say; nothing is written.

    Args:
        recording: the damaged one.
        restorer: the network.
        settings: what to do and where.
        true_peak: of the recording, linear; the result may have no higher one above full scale.
        on_progress: told the share that is done.
        windows: `window_frames` and `overlap_frames`, where they are not the model's.

    Raises:
        InvalidConfig: the stretch or a channel that is asked for is not there, or an option does not suit the model.
    """
    begin, end = span_of(recording, settings)
    rows = rows_of(recording, settings)
    rate = recording.sample_rate
    context = round(CONTEXT_SECONDS * rate) if settings.only_seconds else recording.num_samples
    first, last = max(0, begin - context), min(recording.num_samples, end + context)
    wet = recording.floats(first, last)
    if np.shares_memory(wet, recording.stored):
        wet = wet.copy()
    treated = _treat(wet, rate, restorer, settings)
    confidence = ConfidenceMap()
    by_network = None
    if settings.uses_network:
        by_network = _restore(wet, rate, restorer, settings, on_progress, windows or {}, confidence, treated)

    def was(start: int, stop: int) -> Samples:
        return recording.floats(first + start, first + stop)

    if settings.keep_below_hz is not None:
        keep_band(wet, was, rate, settings.keep_below_hz)
    blend(
        wet, was, rate, kept=(begin - first, end - first), rows=rows, at_edges=(begin > 0, end < recording.num_samples)
    )
    limited = []
    if not recording.has_headroom:
        limited = _limited(wet, rate, (begin - first, end - first), rows, max(1.0, true_peak))
    stored, changed = _as_stored(recording, wet, first)
    treatments = [_told(repair.moved(first / rate), rows, settings.strength) for repair in treated]
    treatments = [one for one in treatments if one["channels"]]
    repairs = [one for one in treatments if one["end_seconds"] > begin / rate and one["start_seconds"] < end / rate]
    places = [((first + start) / rate, (first + stop) / rate) for start, stop in limited]
    if by_network is None:
        return RestoredRecording(stored, repairs, places, changed)
    left = _left_of(by_network, recording, stored, first, last)
    repairs += _network_repairs(left, confidence, rate, first / rate, last / rate)
    return RestoredRecording(stored, repairs, places, changed, confidence.as_dict(first / rate))


def _limited(
    wet: Samples, rate: int, span: tuple[int, int], rows: list[int], largest_true: float
) -> list[tuple[int, int]]:
    """Turn peaks down, in place, in the channels and the span that may change; the places [first, last) in `wet`."""
    begin, end = span
    inside = wet[:, begin:end] if len(rows) == len(wet) else wet[rows, begin:end]
    places = limit_peaks(inside, rate, largest=1.0, largest_true=largest_true)
    if places and len(rows) < len(wet):
        wet[rows, begin:end] = inside
    return [(begin + start, begin + stop) for start, stop in places]


def check_settings(recording: Recording, settings: RestoreSettings) -> None:
    """Refuse, before anything slow, what does not suit `recording`.

    Raises:
        InvalidConfig: a stretch, a channel or a band that is not there.
    """
    span_of(recording, settings)
    rows_of(recording, settings)
    if settings.keep_below_hz is not None:
        check_band(recording.sample_rate, settings.keep_below_hz)


def _treat(wet: Samples, rate: int, restorer: Restorer, settings: RestoreSettings) -> list[Repair]:
    """Treat `wet` in place, five minutes at a time; the repairs."""
    step, join = TREATED_SECONDS * rate, TREATED_JOIN_SECONDS * rate
    witness = restorer if settings.uses_network else None
    repairs: list[Repair] = []
    tail: Samples | None = None
    for begin in range(0, wet.shape[1], step):
        end = min(wet.shape[1], begin + step + join)
        fresh = Waveform(wet[:, begin:end].copy(), rate)
        haste = settings.preset == "fast"
        treated = treat_with(witness, fresh, without=settings.treatments_left_out, in_haste=haste)
        change = settings.strength * (treated.waveform.samples - fresh.samples) if treated.repairs else None
        length = 0 if tail is None else tail.shape[1]
        rise = (np.arange(length, dtype=np.float32) + 0.5) / max(1, length)
        next_tail = change[:, step:].copy() if change is not None else np.zeros_like(fresh.samples[:, step:])
        if change is not None:
            change[:, :length] *= rise
            wet[:, begin : begin + step] += change[:, :step]
        if tail is not None:
            wet[:, begin : begin + length] += tail * (1 - rise)
        tail = next_tail
        repairs += [repair.moved(begin / rate) for repair in treated.repairs]
        del fresh, treated, change
        give_back_freed()
    return repairs


def _told(repair: Repair, rows: list[int], strength: float) -> dict[str, Any]:
    """For the report, of those channels that may change."""
    return {
        "kind": repair.kind,
        "start_seconds": round(repair.start_seconds, 4),
        "end_seconds": round(repair.end_seconds, 4),
        "channels": [row for row in repair.channels if row in rows],
        "size_db": round(repair.size_db + 20 * float(np.log10(strength)), 2),
        "confidence": round(repair.confidence, 3),
    }


def _restore(
    wet: Samples,
    rate: int,
    restorer: Restorer,
    settings: RestoreSettings,
    on_progress: Callable[[float], None],
    windows: dict[str, Any],
    confidence: ConfidenceMap,
    repairs: Sequence[Repair],
) -> FrameEnergies:
    """Restore `wet` in place: the stream reads ahead of what it yields; how much the network changed."""
    done = 0
    meter = ChangeMeter(len(wet), rate)
    window_frames = windows.get("window_frames") or restorer.meta["inference"]["window_frames"]
    for piece in restorer.stream(
        lambda first, last: wet[:, first:last],
        wet.shape[1],
        rate,
        steps=settings.steps_of(restorer.meta["inference"]["steps"]),
        method=settings.method,
        tau=settings.tau,
        cfg=settings.cfg,
        cfg_structure=settings.cfg_structure,
        cfg_semantic=settings.cfg_semantic,
        cfg_interval=settings.cfg_interval,
        sway=settings.sway,
        seed=settings.seed,
        strength=settings.strength,
        on_progress=on_progress,
        confidence=confidence,
        repairs=repairs,
        **{"overlap_frames": settings.overlap_of(window_frames), **windows},
    ):
        meter.add(wet[:, done : done + piece.shape[1]], piece)
        wet[:, done : done + piece.shape[1]] = piece
        done += piece.shape[1]
        del piece  # else it would lie in memory while the next section is restored
        give_back_freed()
    return meter.energies()


def _left_of(by_network: FrameEnergies, recording: Recording, stored: Stored, first: int, last: int) -> FrameEnergies:
    """What the network changed and what of it is in the result, after bands, channels and stretches were put back."""
    meter = ChangeMeter(recording.channels, recording.sample_rate)
    for start in range(first, last, BLOCK_SAMPLES):
        stop = min(last, start + BLOCK_SAMPLES)
        meter.add(recording.floats(start, stop), as_floats(stored[:, start:stop]))
    everything = meter.energies()
    return FrameEnergies(everything.was, np.minimum(everything.change, by_network.change))


def _network_repairs(
    energies: FrameEnergies, confidence: ConfidenceMap, rate: int, start_seconds: float, end_seconds: float
) -> list[dict[str, Any]]:
    places = changed_places(energies, rate, start_seconds)
    for place in places:  # the last frame may be shorter than the others
        place["end_seconds"] = min(place["end_seconds"], round(end_seconds, 4))
    spans = [(one["start_seconds"] - start_seconds, one["end_seconds"] - start_seconds) for one in places]
    return [
        {"kind": "network", "confidence": confidence.between(*span), **place}
        for span, place in zip(spans, places, strict=True)
    ]


def _as_stored(recording: Recording, wet: Samples, first: int) -> tuple[Stored, bool]:
    """All samples as the file stores them, those from `first` on by `wet`, whose memory is used up where it serves."""
    kind = recording.stored.dtype
    # Written front to back, numbers that are no wider never overtake those that are still to be read.
    in_place = kind.itemsize <= wet.dtype.itemsize and wet.shape == recording.stored.shape
    stored: Stored = wet.view(kind)[:, : wet.shape[1]] if in_place else recording.stored.copy()
    is_changed = False
    for start in range(0, wet.shape[1], BLOCK_SAMPLES):
        stop = min(wet.shape[1], start + BLOCK_SAMPLES)
        old, new = recording.stored[:, first + start : first + stop], wet[:, start:stop]
        differs = new != recording.floats(first + start, first + stop)
        made = np.where(differs, recording.to_stored(new), old)
        is_changed = is_changed or not np.array_equal(made, old)
        stored[:, first + start : first + stop] = made
    return stored, is_changed
