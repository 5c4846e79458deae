"""Audio as programs hold it (NumPy, torch, mono or not) in and out of a `Waveform`."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Samples, Waveform
from audiobuff_core.errors import InvalidAudio

Array = TypeVar("Array", NDArray[Any], torch.Tensor)


def as_waveform(audio: Any, sample_rate: int | None) -> tuple[Waveform, Callable[[Samples], Any]]:  # noqa: ANN401
    """`audio` as a waveform, and the way back: samples to its kind, type, device and shape.

    Raises:
        InvalidAudio: no array, neither [samples] nor [channels, samples], no floating point, no rate, or not finite.
    """
    if isinstance(audio, Waveform):
        rate = audio.sample_rate
        return audio, lambda samples: Waveform(samples, rate)
    if sample_rate is None:
        raise InvalidAudio("Audio without a sample rate: pass it, in Hz, as the second argument")
    is_tensor = isinstance(audio, torch.Tensor)
    if not is_tensor and not isinstance(audio, np.ndarray):
        raise InvalidAudio(f"Audio as {type(audio).__name__}: expected a NumPy array, a torch tensor or a `Waveform`")
    if sample_rate != int(sample_rate):
        raise InvalidAudio(f"Sample rate {sample_rate} Hz: expected a whole number")
    # NumPy has no bfloat16.
    plain = audio.detach().cpu() if is_tensor else None
    values = np.asarray(audio) if plain is None else (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    if values.dtype.kind != "f":
        raise InvalidAudio(f"Audio of type {values.dtype}: expected floating point with full scale +-1; divide first")
    if values.ndim not in (1, 2) or values.size == 0:
        raise InvalidAudio(f"Audio of shape {values.shape}: expected [samples] or [channels, samples], at least one")
    if values.ndim == 2 and values.shape[0] > values.shape[1]:
        raise InvalidAudio(f"Audio of shape {values.shape}: expected [channels, samples]; transpose it")

    def back(samples: Samples) -> Any:  # noqa: ANN401
        shaped = samples.reshape(values.shape).astype(values.dtype, copy=False)
        return torch.from_numpy(shaped).to(audio.device, audio.dtype) if is_tensor else shaped

    return Waveform(np.ascontiguousarray(np.atleast_2d(values), dtype=np.float32), int(sample_rate)), back
