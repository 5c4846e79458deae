"""Missing pieces: lost packets and longer gaps."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]


def apply(samples: Samples, sample_rate: int, parameters: Parameters, generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] with pieces set to exact zeros in all channels at once.

    Mode `packets`: of the packets of `packet_ms` a share `lost_share`, to the nearest packet, is lost in bursts of
    `mean_burst` on average and `longest_burst` at most. Mode `gaps`: `num_gaps` apart gaps of `gap_seconds` each,
    shortened where they would take more than `most_share` of the track.
    """
    if parameters["mode"] == "packets":
        packet = max(1, round(float(parameters["packet_ms"]) / 1000.0 * sample_rate))
        num_packets = -(-samples.shape[1] // packet)
        starts, width = np.flatnonzero(lost_packets(num_packets, parameters, generator)) * packet, packet
    else:
        starts, width = _places_of_gaps(samples.shape[1], sample_rate, parameters, generator)
    damaged = samples.copy()
    for start in starts.tolist():
        damaged[:, start : start + width] = 0.0
    return damaged


def lost_packets(num_packets: int, parameters: Parameters, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Which of `num_packets` packets are lost: exactly the wanted share, in bursts with packets between them.

    A share that leaves too few packets to stand between so short bursts makes them longer.
    """
    num_lost = round(float(parameters["lost_share"]) * num_packets)
    bursts: list[int] = []
    while sum(bursts) < num_lost:
        burst = min(int(generator.geometric(1.0 / float(parameters["mean_burst"]))), int(parameters["longest_burst"]))
        bursts.append(min(burst, num_lost - sum(bursts)))
    num_kept = num_packets - num_lost
    lost = np.zeros(num_packets, dtype=np.bool_)
    room = num_kept + 1
    if len(bursts) > room:  # the share counts: bursts without a kept packet between them are one
        bursts = [sum(bursts[place::room]) for place in range(room)]
    # Each burst stands before a different kept packet, or after the last one.
    slots = np.sort(generator.choice(room, len(bursts), replace=False))
    done = 0
    for slot, burst in zip(slots, bursts, strict=True):
        lost[slot + done : slot + done + burst] = True
        done += burst
    return lost


def _places_of_gaps(
    num_samples: int, sample_rate: int, parameters: Parameters, generator: np.random.Generator
) -> tuple[NDArray[np.int64], int]:
    """Where each gap starts, and the width of all of them, in samples."""
    num_gaps = int(parameters["num_gaps"])
    most_samples = int(float(parameters["most_share"]) * num_samples / num_gaps)
    gap_samples = min(round(float(parameters["gap_seconds"]) * sample_rate), most_samples)
    # Sorted places in what is left when the gaps are taken out: gaps can't overlap.
    starts = np.sort(generator.integers(0, num_samples - num_gaps * gap_samples + 1, num_gaps))
    return starts + np.arange(num_gaps) * gap_samples, gap_samples
