"""Figures that were measured before, kept beside the report: what has not changed is not measured again."""

import hashlib
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path
from types import ModuleType
from typing import Self

import audiobuff_core.audio
import audiobuff_core.evaluation.metrics
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.evaluation.metrics.protocol import Comparison, Metric
from audiobuff_core.files import read_json, write_json
from audiobuff_core.seeding import digest

FOLDER = "measured"


class KeptFigures:
    """Those of one item: a JSON file of digests and values.

    A digest is of the samples that are compared and of all code that compares them, so that none outlives either.
    """

    def __init__(self, place: Path, known: dict[str, float]) -> None:
        """Set where the file lies, and what is in it."""
        self._place, self._known, self._new = place, known, False

    @classmethod
    def of(cls, folder: Path, item: str) -> Self:
        """Those of the item called `item`, in its file in `folder`, if there is one.

        Raises:
            DataMissing: that is no JSON.
        """
        place = folder / f"{digest(item)[:24]}.json"
        return cls(place, read_json(place) if place.is_file() else {})

    def find(self, metric: Metric, comparison: Comparison) -> float | None:
        """What `metric` made of `comparison` before."""
        return self._known.get(_key(metric, comparison))

    def add(self, metric: Metric, comparison: Comparison, value: float) -> None:
        """Know `value` from now on; `write` keeps it."""
        self._known[_key(metric, comparison)] = value
        self._new = True

    def write(self) -> None:
        """Keep what was added.

        Raises:
            OutputNotWritable: the place is read-only or full; what it had before is left there.
        """
        if self._new:
            write_json(self._place, self._known)


def _key(metric: Metric, comparison: Comparison) -> str:
    signals = (comparison.clean, comparison.estimate, comparison.degraded)
    samples = [None if signal is None else signal.derived(digest_of_samples) for signal in signals]
    return digest(metric.name, _versions(metric.packages), _code(), samples)[:32]


def digest_of_samples(waveform: Waveform) -> str:
    """SHA-256 (64 hex digits) of its samples, their shape and rate."""
    summed = hashlib.sha256(f"{waveform.samples.dtype} {waveform.samples.shape} {waveform.sample_rate}".encode())
    summed.update(waveform.samples.tobytes())
    return summed.hexdigest()


def digest_of_code(*packages: ModuleType) -> str:
    """SHA-256 (64 hex digits) of the modules that lie in `packages` themselves."""
    sources = [
        path for package in packages for folder in package.__path__ for path in sorted(Path(folder).glob("*.py"))
    ]
    return digest(*(hashlib.sha256(path.read_bytes()).hexdigest() for path in sources))


@cache
def _code() -> str:
    """Of metrics, and of what they read and resample with."""
    return digest_of_code(audiobuff_core.evaluation.metrics, audiobuff_core.audio)


@cache
def _versions(packages: tuple[str, ...]) -> list[str]:
    """Of the distributions that bring the modules `packages`."""
    known = packages_distributions() if packages else {}
    return [f"{name} {version(name)}" for package in packages for name in sorted(set(known.get(package, ())))]
