"""How much of a recording looks clipped."""

import numpy as np

from audiobuff_core.audio.waveform import Waveform

SHARE_OF_PEAK = 0.98
SHORTEST_RUN = 3


def clipped_share(waveform: Waveform) -> float:
    """The share (0 to 1) of samples in flat tops: runs of three or more equal ones within 2 % of the channel's peak."""
    clipped = 0
    for channel in waveform.samples:
        peak = float(np.abs(channel).max())
        if peak == 0.0:
            continue
        # Places where a sample repeats its predecessor near the peak; a run of n equal samples has n - 1 of them.
        repeats = (np.diff(channel) == 0.0) & (np.abs(channel[1:]) >= SHARE_OF_PEAK * peak)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], repeats, [False]]).astype(np.int8)))
        runs = edges[1::2] - edges[::2] + 1
        clipped += int(runs[runs >= SHORTEST_RUN].sum())
    return clipped / waveform.samples.size
