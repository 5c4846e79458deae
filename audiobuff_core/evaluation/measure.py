"""Measuring restored clips against the clean ones, between a floor and a ceiling."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import CheckpointNotFound, DataMissing, StoreMismatch
from audiobuff_core.evaluation.bootstrap import Interval
from audiobuff_core.evaluation.held_out import EvaluationItem, load_held_out
from audiobuff_core.evaluation.metrics.lsd import log_power_db, spectral_distance_db
from audiobuff_core.evaluation.metrics.si_sdr import held, si_sdr_db
from audiobuff_core.evaluation.restorations import RestoredSet, load_restored
from audiobuff_core.evaluation.table import ClipMeasures, MetricTable, summarise
from audiobuff_core.files import exists, join, read_json, write_json
from audiobuff_core.progress import track
from audiobuff_core.seeding import digest

if TYPE_CHECKING:
    from audiobuff_core.codecs.protocols import Codec

# Raise it when the same clips would measure otherwise.
CODE_VERSION = "1"


def measure_set(
    root: str, checkpoint_key: str, kind: str, *, codec: "Codec | None" = None, bootstrap_seed: int = 1337
) -> MetricTable:
    """Measure the restored clips of `kind`; the same clips are not measured again.

    SI-SDR is held to +-30 dB a clip, so that no perfect clip rules a mean.

    Args:
        root: of all data.
        checkpoint_key: whose restorations.
        kind: of damage.
        codec: whose round trip is the ceiling; None takes the one that the checkpoint was trained with.
        bootstrap_seed: of the intervals.

    Raises:
        DataMissing: there are no restorations, or they were made from other damaged clips than those that lie there.
        CheckpointNotFound: `codec` is None and the checkpoint's export is gone.
        StoreMismatch: the codec is not the one of the restorations.
    """
    clips = load_held_out(root, kind)
    restored = load_restored(root, checkpoint_key, kind)
    if restored.evaluation_digest != clips.digest:
        raise DataMissing(
            f"The restorations at {restored.path} are of other damaged clips than {clips.path} has now: "
            "materialise evaluation/restorations again"
        )
    place = _place(root, checkpoint_key, kind)
    codec = codec or _trained_codec(root, checkpoint_key)
    _check_codec(codec, restored)
    inputs = digest(CODE_VERSION, clips.digest, restored.digest, codec.identity.as_dict(), bootstrap_seed)
    if not exists(place) or read_json(place)["inputs"] != inputs:
        paths = {item.track_id: item.path for item in restored.items}
        items = [
            _measure(item, paths[item.track_id], codec) for item in track(clips.items, f"Measuring held-out: {kind}")
        ]
        _write(place, inputs, items, bootstrap_seed)
    return load_metrics(root, checkpoint_key, kind)


def load_metrics(root: str, checkpoint_key: str, kind: str) -> MetricTable:
    """The table that `measure_set` left.

    Raises:
        DataMissing: there is none.
    """
    place = _place(root, checkpoint_key, kind)
    if not exists(place):
        raise DataMissing(
            f"No metrics of kind {kind!r} for checkpoint {checkpoint_key} at {place}: materialise evaluation/metrics"
        )
    values = read_json(place)
    intervals = {
        row: {name: Interval(**interval) for name, interval in metrics.items()}
        for row, metrics in values["intervals"].items()
    }
    return MetricTable(
        checkpoint_key=checkpoint_key,
        kind=kind,
        digest=digest(values["items"], values["intervals"], values["gain_intervals"]),
        path=place,
        items=tuple(ClipMeasures(**item) for item in values["items"]),
        intervals=intervals,
        gain_intervals={name: Interval(**interval) for name, interval in values["gain_intervals"].items()},
    )


def _measure(item: EvaluationItem, restored_path: str, codec: "Codec") -> ClipMeasures:
    clean = read_audio(item.clean_path)
    references = _channels(clean)
    references_db = [log_power_db(reference) for reference in references]
    rows = {
        "degraded": read_audio(item.degraded_path),
        "restored": read_audio(restored_path),
        "ceiling": round_trip(codec, clean, gain=item.gain),
    }
    values = {name: _compare(references, references_db, _channels(waveform)) for name, waveform in rows.items()}
    return ClipMeasures(item.track_id, item.content_digest, **values)


def _channels(waveform: Waveform) -> list[NDArray[np.float64]]:
    return list(waveform.samples.astype(np.float64))


def _compare(
    references: list[NDArray[np.float64]],
    references_db: list[NDArray[np.float64]],
    estimates: list[NDArray[np.float64]],
) -> dict[str, float]:
    """Every metric, the mean over channels."""
    distances = [
        spectral_distance_db(reference_db, log_power_db(estimate))
        for reference_db, estimate in zip(references_db, estimates, strict=True)
    ]
    ratios = [held(si_sdr_db(*pair)) for pair in zip(references, estimates, strict=True)]
    return {"lsd_db": sum(distances) / len(distances), "si_sdr_db": sum(ratios) / len(ratios)}


def round_trip(codec: "Codec", clean: Waveform, *, gain: float) -> Waveform:
    """`clean` after encoding and decoding at the level that training saw: the best any restoration in latents can be.

    The result has the rate, channels and samples of `clean`.
    """
    levelled = resample(clean.scaled(gain), codec.sample_rate)
    decoded = codec.decode(codec.encode(levelled), levelled.num_samples)
    back = resample(decoded, clean.sample_rate).scaled(1 / gain)
    samples = back.samples[:, : clean.num_samples]
    if samples.shape[1] < clean.num_samples:  # rounding of two rate changes, at most a sample or two
        samples = np.pad(samples, ((0, 0), (0, clean.num_samples - samples.shape[1])))
    return Waveform(samples, clean.sample_rate)


def _trained_codec(root: str, checkpoint_key: str) -> "Codec":
    from audiobuff_core.codecs.registry import load_codec

    place = join(root, "checkpoints", checkpoint_key, "config.json")
    if not exists(place):
        raise CheckpointNotFound(f"No exported model at {place}: train it again, or name the codec of the ceiling")
    return load_codec(read_json(place)["meta"]["encoders"]["codec"])


def _check_codec(codec: "Codec", restored: RestoredSet) -> None:
    """A ceiling by another codec than the network's would be the ceiling of nothing."""
    used = restored.identity.get("encoders", {}).get("target")
    if used is not None and used != codec.identity.as_dict():
        raise StoreMismatch(
            f"The restorations at {restored.path} went through codec {used}, the ceiling would be that of "
            f"{codec.identity.as_dict()}: name the same codec"
        )


def _write(place: str, inputs: str, items: list[ClipMeasures], seed: int) -> None:
    intervals, gain_intervals = summarise(items, seed=seed)
    content: dict[str, Any] = {
        "inputs": inputs,
        "items": [asdict(item) for item in items],
        "intervals": {
            row: {name: interval.as_dict() for name, interval in metrics.items()} for row, metrics in intervals.items()
        },
        "gain_intervals": {name: interval.as_dict() for name, interval in gain_intervals.items()},
    }
    write_json(place, content)


def _place(root: str, checkpoint_key: str, kind: str) -> str:
    return join(root, "evaluation", "metrics", checkpoint_key, f"{kind}.json")
