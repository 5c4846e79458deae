"""Measuring restored clips against the clean ones, between a floor and a ceiling."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import CheckpointNotFound, DataMissing, StoreMismatch
from audiobuff_core.evaluation.bootstrap import Interval
from audiobuff_core.evaluation.held_out import EvaluationItem, load_held_out
from audiobuff_core.evaluation.measured_items import value_or_reason
from audiobuff_core.evaluation.metrics.protocol import Comparison, Metric, Signal
from audiobuff_core.evaluation.metrics.registry import METRICS as ALL_METRICS
from audiobuff_core.evaluation.metrics.registry import QUICK, find_metrics
from audiobuff_core.evaluation.restorations import RestoredSet, load_restored
from audiobuff_core.evaluation.table import METRICS, ClipMeasures, MetricTable, summarise
from audiobuff_core.files import exists, join, read_json, write_json
from audiobuff_core.progress import track
from audiobuff_core.seeding import digest

if TYPE_CHECKING:
    from audiobuff_core.codecs.protocols import Codec

# Raise it when the same clips would measure otherwise.
CODE_VERSION = "2"


def measure_set(
    root: str,
    checkpoint_key: str,
    kind: str,
    *,
    metrics: Sequence[str] = (),
    codec: "Codec | None" = None,
    bootstrap_seed: int = 1337,
) -> MetricTable:
    """Measure the restored clips of `kind`; the same clips are not measured again.

    SI-SDR is held to +-30 dB a clip, so that no perfect clip rules a mean.

    Args:
        root: of all data.
        checkpoint_key: whose restorations.
        kind: of damage.
        metrics: names of metrics, or `all` for every one; none takes the quick ones. LSD and SI-SDR, which decide, are
            always measured. What lacks a package, or has no meaning for a clip, is a named gap.
        codec: whose round trip is the ceiling; None takes the one that the checkpoint was trained with.
        bootstrap_seed: of the intervals.

    Raises:
        DataMissing: there are no restorations, or they were made from other damaged clips than those that lie there.
        CheckpointNotFound: `codec` is None and the checkpoint's export is gone.
        StoreMismatch: the codec is not the one of the restorations.
        MetricUnavailable: no metric has one of the names.
    """
    chosen = _chosen(metrics)
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
    inputs = digest(
        CODE_VERSION, clips.digest, restored.digest, codec.identity.as_dict(), bootstrap_seed, _state(chosen)
    )
    if not exists(place) or read_json(place)["inputs"] != inputs:
        paths = {item.track_id: item.path for item in restored.items}
        reasons: dict[str, Counter[str]] = {}
        items = [
            _measure(item, paths[item.track_id], codec, chosen, reasons)
            for item in track(clips.items, f"Measuring held-out: {kind}")
        ]
        _write(place, inputs, items, bootstrap_seed, reasons)
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
        digest=digest(values["items"], values["intervals"], values["gain_intervals"], values.get("gaps", {})),
        path=place,
        items=tuple(ClipMeasures(**item) for item in values["items"]),
        intervals=intervals,
        gain_intervals={name: Interval(**interval) for name, interval in values["gain_intervals"].items()},
        gaps=values.get("gaps", {}),
    )


def _chosen(names: Sequence[str]) -> tuple[Metric, ...]:
    """The metrics of `names` and those that decide, in the order of tables."""
    asked = find_metrics(None if "all" in names else [*METRICS, *(names or QUICK)])
    order = list(ALL_METRICS)
    return tuple(sorted(set(asked), key=lambda metric: order.index(metric.name)))


def _state(metrics: Sequence[Metric]) -> list[list[Any]]:
    """Metrics that are there now; one whose package comes later is measured then."""
    return [[metric.name, list(metric.missing)] for metric in metrics]


def _measure(
    item: EvaluationItem, restored_path: str, codec: "Codec", metrics: Sequence[Metric],
    reasons: dict[str, Counter[str]],
) -> ClipMeasures:  # fmt: skip
    """Every row by every metric; why one has no value is counted in `reasons`, once a clip."""
    clean = read_audio(item.clean_path)
    reference = Signal(clean)
    rows = {
        "degraded": Signal(read_audio(item.degraded_path)),
        "restored": Signal(read_audio(restored_path)),
        "ceiling": Signal(round_trip(codec, clean, gain=item.gain)),
    }
    values: dict[str, dict[str, float]] = {row: {} for row in rows}
    why: dict[str, str] = {}
    for row, signal in rows.items():
        comparison = Comparison(reference, signal, rows["degraded"])
        for metric in metrics:
            if metric.name in METRICS:
                values[row][metric.name] = metric.measure(comparison)
                continue
            value, reason = value_or_reason(metric, comparison)
            if value is None:
                why[metric.name] = reason
            else:
                values[row][metric.name] = value
    for name, reason in why.items():
        reasons.setdefault(name, Counter())[reason] += 1
    return ClipMeasures(item.track_id, item.content_digest, **values)


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


def _write(place: str, inputs: str, items: list[ClipMeasures], seed: int, reasons: Mapping[str, Counter[str]]) -> None:
    intervals, gain_intervals = summarise(items, seed=seed)
    content: dict[str, Any] = {
        "inputs": inputs,
        "items": [asdict(item) for item in items],
        "intervals": {
            row: {name: interval.as_dict() for name, interval in metrics.items()} for row, metrics in intervals.items()
        },
        "gain_intervals": {name: interval.as_dict() for name, interval in gain_intervals.items()},
        "gaps": {
            name: "; ".join(f"{count} of {len(items)} clips: {reason}" for reason, count in found.most_common())
            for name, found in reasons.items()
        },
    }
    write_json(place, content)


def _place(root: str, checkpoint_key: str, kind: str) -> str:
    return join(root, "evaluation", "metrics", checkpoint_key, f"{kind}.json")
