"""The operator: someone who knows what is wrong with each recording and has the right classical tool for it.

Faults are undone from the last to the first. With the clean recording at hand every tool for a fault is tried and
the one kept whose result is nearest to what was there before the fault; nothing is one of them. No one can choose so
well by ear, so this is a bound from above of what such tools reach, and not a rival's usual day.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.plan import Fault
from audiobuff_core.degradation.render import render
from audiobuff_core.errors import DataMissing, InvalidAudio, PeerTooSlow
from audiobuff_core.evaluation.metrics.lsd import log_power_db, spectral_distance_db
from audiobuff_core.evaluation.metrics.si_sdr import HELD_DB, held, si_sdr_db
from audiobuff_core.evaluation.peers.limit import time_limit
from audiobuff_core.evaluation.peers.peer import Case, Outcome
from audiobuff_core.evaluation.peers.tools import TOOLS, Tool

SMALLEST_GAP_DB = 0.1
NOTHING = "nothing"


def operate(case: Case) -> Outcome:
    """The recording after the tools for its faults; without the clean one, after the usual tool for each.

    Raises:
        DataMissing: what is wrong with it is not known.
        InvalidAudio: the clean recording is of another rate, or of other channels or samples.
        PeerUnavailable: the package of a tool is missing.
    """
    if case.row is None:
        raise DataMissing(
            "What is wrong with it is not known: the operator needs the .json that `audiobuff degrade` wrote"
        )
    if case.clean is not None and (
        case.clean.samples.shape != case.damaged.samples.shape or case.clean.sample_rate != case.damaged.sample_rate
    ):
        raise InvalidAudio(
            f"The clean recording has shape {case.clean.samples.shape} at {case.clean.sample_rate} Hz: expected "
            f"{case.damaged.samples.shape} at {case.damaged.sample_rate} Hz"
        )
    waveform = case.damaged
    how: list[str] = []
    given_up: list[str] = []
    for place in reversed(range(len(case.row.faults))):
        fault = case.row.faults[place]
        tools = TOOLS.get(fault.kind, ())
        usable = tools[:1] if case.clean is None else tools
        results = _results(waveform, fault, usable, case.limit_seconds, given_up)
        chosen = next(iter(results), NOTHING)
        if case.clean is not None:
            before = render(replace(case.row, faults=case.row.faults[:place]), case.clean)
            results = {NOTHING: waveform, **results}
            chosen = _nearest(before, results)
        waveform = results.get(chosen, waveform)
        how.append(f"{fault.kind}: {chosen}")
    return Outcome(waveform, tuple(how), tuple(given_up))


def _results(
    waveform: Waveform, fault: Fault, tools: Sequence[Tool], limit_seconds: float | None, given_up: list[str]
) -> dict[str, Waveform]:
    """What `waveform` is after each of `tools`, but for those that took too long, which join `given_up`."""
    results = {}
    for tool in tools:
        try:
            with time_limit(limit_seconds):
                results[tool.name] = tool.use(waveform, fault.parameters)
        except PeerTooSlow as error:
            given_up.append(f"{fault.kind}: {tool.name} {error}")
    return results


def _nearest(truth: Waveform, tried: dict[str, Waveform]) -> str:
    """The name of what comes nearest to `truth`; the first among equals."""
    if len(tried) == 1 or np.ptp(truth.samples, axis=1).min() == 0.0:
        return NOTHING
    distances = {name: _Distance.of(truth, waveform) for name, waveform in tried.items()}
    start = distances[NOTHING]
    return max(distances, key=lambda name: start.closed_by(distances[name]))


@dataclass(frozen=True, slots=True)
class _Distance:
    """How far from the truth: in spectrum, in wave but for its level and offset, and in wave."""

    lsd_db: float
    si_sdr_db: float
    sdr_db: float

    @classmethod
    def of(cls, truth: Waveform, waveform: Waveform) -> "_Distance":
        pairs = list(zip(truth.samples.astype(np.float64), waveform.samples.astype(np.float64), strict=True))
        spectra = [spectral_distance_db(log_power_db(one), log_power_db(other)) for one, other in pairs]
        scaled = [held(si_sdr_db(one, other)) for one, other in pairs]
        plain = [held(_sdr_db(one, other)) for one, other in pairs]
        return cls(*(float(np.mean(values)) for values in (spectra, scaled, plain)))

    def closed_by(self, other: "_Distance") -> float:
        """The mean share of this distance that `other` closes; negative where it is farther."""
        gaps = (
            (self.lsd_db, self.lsd_db - other.lsd_db),
            (HELD_DB - self.si_sdr_db, other.si_sdr_db - self.si_sdr_db),
            (HELD_DB - self.sdr_db, other.sdr_db - self.sdr_db),
        )
        return sum(gain / max(gap, SMALLEST_GAP_DB) for gap, gain in gaps) / len(gaps)


def _sdr_db(truth: np.ndarray, other: np.ndarray) -> float:
    error = float(np.sum(np.square(truth - other)))
    return 10.0 * float(np.log10((float(np.sum(np.square(truth))) + 1e-30) / (error + 1e-30)))
