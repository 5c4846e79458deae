"""How wide a stereo recording is."""

import numpy as np

from audiobuff_core.audio.waveform import Waveform


def stereo_width(waveform: Waveform) -> float | None:
    """RMS of the side over that of mid and side together: 0 in mono, 0.5 for two strangers, 1 in opposite phase.

    None where there are not two channels, or nothing is heard in them.
    """
    if waveform.channels != 2:
        return None
    left, right = waveform.samples.astype(np.float64)
    mid, side = (float(np.sqrt(np.mean(np.square(part)))) for part in (left + right, left - right))
    return side / (mid + side) if mid + side > 0.0 else None
