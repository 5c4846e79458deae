"""Which bands of a floor are noise: learned from recordings whose noise is known (`corpus/noise_judge.py`).

Three convolutions over the bands, each beside the mean over all of them, as noise of one source fills many bands.
"""

from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from audiobuff_core.treatment.noise_floor import Floor

WEIGHTS = "noise_judge.safetensors"
LAYERS = ("first", "second", "last")

Values = NDArray[np.float64]


def certainty_of_noise(floor: Floor) -> Values:
    """How sure it is, 0 to 1, that taking the floor away leaves a band nearer to what was recorded, [bands]."""
    values = floor.evidence.T
    for name in LAYERS:
        weight, bias = (_weights()[f"{name}.{part}"].astype(np.float64) for part in ("weight", "bias"))
        values = _convolved(values, weight) + bias[:, None]
        if name != LAYERS[-1]:
            values = np.maximum(values, 0.0)
            values = np.concatenate([values, np.broadcast_to(values.mean(axis=1, keepdims=True), values.shape)])
    return np.asarray(1.0 / (1.0 + np.exp(-values[0])))


def _convolved(values: Values, weight: Values) -> Values:
    """`values` [channels, bands] by `weight` [outputs, channels, taps], as many bands, zero beyond the ends."""
    taps = weight.shape[2]
    around = np.lib.stride_tricks.sliding_window_view(np.pad(values, ((0, 0), (taps // 2, taps // 2))), taps, axis=1)
    return np.asarray(np.einsum("cbt,oct->ob", around, weight))


@cache
def _weights() -> dict[str, NDArray[np.float32]]:
    return load(files("audiobuff_core.treatment").joinpath(WEIGHTS).read_bytes())
