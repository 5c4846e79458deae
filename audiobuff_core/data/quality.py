"""What is measured of every recording, and what keeps one from being learned from."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from audiobuff_core.audio.bandwidth import FULL_SHARE, band_edge_hz, bandwidth_hz
from audiobuff_core.audio.clipped import clipped_share
from audiobuff_core.audio.levels import quiet_parts, true_peak_db
from audiobuff_core.audio.loudness import loudness_lufs
from audiobuff_core.audio.stereo import stereo_width
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import InvalidConfig

# A file may claim a higher rate than it was made at: its band then ends just under half of one of these.
LOWER_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
UNDER_HALF_A_RATE = (0.92, 1.0)
# Tracks are mono: what is left of channels that cancel each other, 30 dB down and more, is no recording.
WIDEST = 0.97


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What is known of a recording as it came, all channels, at its own rate.

    Attributes:
        source_rate: in Hz.
        source_channels: number of channels.
        duration_seconds: length in seconds.
        bandwidth_hz: how far up the spectrum reaches.
        band_edge_hz: where something cut the spectrum off; None where nothing did.
        loudness_lufs: BS.1770 loudness; None where the standard gives none.
        true_peak_db: dBTP; None for digital silence.
        clipped_share: share of the samples in flat tops.
        noise_floor_db: level of its quiet frames, dBFS; None for digital silence.
        silence_share: share of frames under -60 dBFS.
        dc: mean of the samples.
        stereo_width: 0 (mono) to 1 (opposite phase); None unless it has two channels.
    """

    source_rate: int
    source_channels: int
    duration_seconds: float
    bandwidth_hz: float
    band_edge_hz: float | None
    loudness_lufs: float | None
    true_peak_db: float | None
    clipped_share: float
    noise_floor_db: float | None
    silence_share: float
    dc: float
    stereo_width: float | None


def measure(recording: Waveform) -> Measures:
    """The measures of `recording`."""
    quiet = quiet_parts(recording)
    return Measures(
        source_rate=recording.sample_rate,
        source_channels=recording.channels,
        duration_seconds=recording.duration_seconds,
        bandwidth_hz=bandwidth_hz(recording),
        band_edge_hz=band_edge_hz(recording),
        loudness_lufs=loudness_lufs(recording),
        true_peak_db=true_peak_db(recording),
        clipped_share=clipped_share(recording),
        noise_floor_db=quiet.noise_floor_db,
        silence_share=quiet.silence_share,
        dc=float(recording.samples.mean(dtype=np.float64)),
        stereo_width=stereo_width(recording),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityGates:
    """What a recording must have to be learned from.

    Attributes:
        shortest_seconds: it lasts as long.
        silent_peak: its peak is at least that.
        most_clipped_share: at most this share of its samples is in flat tops.
        narrowest_hz: nothing cut its band off below.
        allow_upsampled: whether one may claim at least twice the rate that it was made at.
    """

    shortest_seconds: float = 0.25
    silent_peak: float = 1e-4
    most_clipped_share: float = 0.01
    narrowest_hz: float = 3_500.0
    allow_upsampled: bool = False

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InvalidConfig: naming all that is wrong at once.
        """
        limits = {"shortest_seconds": 60.0, "silent_peak": 1.0, "most_clipped_share": 1.0, "narrowest_hz": 20_000.0}
        wrong = [
            f"{name} {getattr(self, name)} (expected 0 to {most:g})"
            for name, most in limits.items()
            if not 0.0 <= getattr(self, name) <= most
        ]
        if wrong:
            raise InvalidConfig(f"Quality gates that make no sense: {'; '.join(wrong)}")


def refusals(measures: Measures, *, peak: float, gates: QualityGates) -> Iterator[str]:
    """Why a recording with these measures is no material to learn from: nothing, or a reason for each gate."""
    if measures.duration_seconds < gates.shortest_seconds:
        yield f"too short: lasts {measures.duration_seconds:.3g} s, expected at least {gates.shortest_seconds:g} s"
    if peak < gates.silent_peak:
        yield f"silent: peak {peak:.2g}, expected at least {gates.silent_peak:g}"
        return
    width = measures.stereo_width
    if width is not None and width > WIDEST:
        yield f"opposite channels: of width {width:.3g}, they cancel each other in mono; turn one of them over"
    if measures.clipped_share > gates.most_clipped_share:
        yield (
            f"clipped: {measures.clipped_share:.1%} of its samples are in flat tops, "
            f"expected at most {gates.most_clipped_share:.1%}"
        )
    edge_hz = measures.band_edge_hz
    if edge_hz is None:
        return
    if edge_hz < gates.narrowest_hz:
        yield f"narrow band: nothing above {edge_hz:.0f} Hz, expected at least {gates.narrowest_hz:.0f} Hz"
    lower_rate = rate_it_was_made_at(measures)
    if lower_rate is not None and not gates.allow_upsampled:
        yield f"upsampled: {measures.source_rate} Hz, but made at {lower_rate} Hz (nothing above {edge_hz:.0f} Hz)"


def rate_it_was_made_at(measures: Measures) -> int | None:
    """The rate, at most half of its own, just under half of which the band of a recording ends; None: there is none."""
    if measures.band_edge_hz is None:
        return None
    for rate in LOWER_RATES:
        least_hz, most_hz = (share * rate / 2.0 for share in UNDER_HALF_A_RATE)
        if rate <= measures.source_rate / 2 and least_hz <= measures.band_edge_hz <= most_hz:
            return rate
    return None


def trained_below_hz(measures: Measures, sample_rate: int) -> float | None:
    """Where a model at `sample_rate` Hz must stop learning from a recording; None: nowhere.

    That is where its band was cut off, or half its own rate where that is less than `sample_rate`.
    """
    ends = [measures.source_rate / 2.0] if measures.source_rate < sample_rate else []
    ends += [] if measures.band_edge_hz is None else [measures.band_edge_hz]
    end_hz = min(ends, default=None)
    return None if end_hz is None or end_hz >= FULL_SHARE * sample_rate / 2.0 else end_hz
