"""What every metric is: a name, a direction, and a function of a clean recording and an estimate of it."""

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import InvalidAudio, MetricUnavailable, NotMeasurable

Samples64 = NDArray[np.float64]
Facts = TypeVar("Facts")

# A recording whose loudest sample is lower has nothing that a metric could compare (16 bits end at -90 dBFS).
SILENT_PEAK = 10 ** (-90 / 20)


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """A recording, and what was computed of it: of the clean one once, whatever it is compared with."""

    waveform: Waveform
    _kept: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        return self.waveform.sample_rate

    @property
    def channels(self) -> list[Samples64]:
        """Each channel, shape [samples]."""
        return self.derived(_channels)

    @property
    def is_silent(self) -> bool:
        """Whether no sample exceeds -90 dBFS."""
        return self.derived(_is_silent)

    def derived(self, make: Callable[[Waveform], Facts]) -> Facts:
        """`make(waveform)`, computed once; `make` is a function of a module, which is its key."""
        if make not in self._kept:
            self._kept[make] = make(self.waveform)
        facts: Facts = self._kept[make]
        return facts

    def at(self, sample_rate: int) -> "Signal":
        """The recording at another rate, resampled once."""
        if sample_rate == self.sample_rate:
            return self
        if sample_rate not in self._kept:
            self._kept[sample_rate] = Signal(resample(self.waveform, sample_rate))
        signal: Signal = self._kept[sample_rate]
        return signal


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """An estimate beside what it should be; all of one rate, shape and alignment.

    Attributes:
        clean: the reference.
        estimate: what is judged.
        degraded: the input that the estimate was made of, where it is known.
    """

    clean: Signal
    estimate: Signal
    degraded: Signal | None = None

    def __post_init__(self) -> None:
        """Check that rates and shapes agree.

        Raises:
            InvalidAudio: they don't.
        """
        for other in (self.estimate, self.degraded):
            if other is not None and (
                other.waveform.samples.shape != self.clean.waveform.samples.shape
                or other.sample_rate != self.clean.sample_rate
            ):
                raise InvalidAudio(
                    f"Audio of shape {other.waveform.samples.shape} at {other.sample_rate} Hz beside a clean one of "
                    f"{self.clean.waveform.samples.shape} at {self.clean.sample_rate} Hz: expected equal ones"
                )

    def at(self, sample_rate: int) -> "Comparison":
        """The same at another rate."""
        degraded = None if self.degraded is None else self.degraded.at(sample_rate)
        return Comparison(self.clean.at(sample_rate), self.estimate.at(sample_rate), degraded)

    def over_channels(self, compare: Callable[[Samples64, Samples64], float]) -> float:
        """The mean of `compare(clean, estimate)` over the channels, both of shape [samples].

        Channels in which the clean recording is silent are left out.

        Raises:
            NotMeasurable: it is silent in all of them.
        """
        pairs = zip(self.clean.channels, self.estimate.channels, strict=True)
        values = [compare(clean, estimate) for clean, estimate in pairs if np.abs(clean).max() > SILENT_PEAK]
        if not values:
            raise NotMeasurable("the clean recording is silent")
        return float(sum(values) / len(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure on an estimate.

    Attributes:
        name: its key, with the unit, such as `si_sdr_db`.
        title: as people write it.
        unit: such as `dB`; empty where it has none.
        better: which way.
        material: a change under this is none, however sure: nobody hears it.
        group: quality, speech (trained on it; of other sound it says little), level, or harm.
        about: one sentence: what it is, after whom, and what 0 or the best value means.
        compare: the figure of a comparison; raises `NotMeasurable` where it has no meaning.
        packages: modules that it needs beyond those of AudioBuff.
        install: how to get them.
        needs_sound: whether a silent clean recording leaves it without meaning.
        needs_reference: whether it compares at all; a judge that only listens to the estimate does not.
    """

    name: str
    title: str
    unit: str = ""
    better: Literal["higher", "lower"]
    material: float
    group: Literal["quality", "speech", "level", "harm"] = "quality"
    about: str
    compare: Callable[[Comparison], float]
    packages: tuple[str, ...] = ()
    install: str = "uv sync --extra metrics, or with pip what pyproject.toml lists for it"
    needs_sound: bool = True
    needs_reference: bool = True

    @property
    def sign(self) -> float:
        """What turns a difference into a gain, where more is better."""
        return 1.0 if self.better == "higher" else -1.0

    @property
    def missing(self) -> tuple[str, ...]:
        """The modules that it needs and that are not installed."""
        return tuple(name for name in self.packages if find_spec(name) is None)

    def measure(self, comparison: Comparison) -> float:
        """The finite figure of `comparison`.

        Raises:
            MetricUnavailable: a package is missing.
            NotMeasurable: it has no meaning here, with the reason.
        """
        if self.missing:
            raise MetricUnavailable(
                f"{self.title} needs {', '.join(self.missing)}, which is not installed: {self.install}, or leave it out"
            )
        if self.needs_sound and comparison.clean.is_silent:
            raise NotMeasurable("the clean recording is silent")
        value = float(self.compare(comparison))
        if not math.isfinite(value):
            raise NotMeasurable(f"its value is {value}")
        return value


def _channels(waveform: Waveform) -> list[Samples64]:
    return list(waveform.samples.astype(np.float64))


def _is_silent(waveform: Waveform) -> bool:
    return float(np.abs(waveform.samples).max()) <= SILENT_PEAK
