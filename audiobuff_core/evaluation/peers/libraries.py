"""Restorers from other packages: a spectral gate, a declicker with a network, a dereverberator, a subtractor."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.evaluation.peers.peer import installed_version

Repair = Callable[[Waveform], Waveform]

WPE_WINDOW_SECONDS = 0.032
WPE_TAPS, WPE_DELAY, WPE_ITERATIONS = 10, 3, 3
GATE_FRAME = 1024
SUBTRACTION_FRAME = 1024
SUBTRACTION_DELAY = SUBTRACTION_FRAME // 2


def load_noisereduce(*, stationary: bool = False) -> Repair:
    """Noisereduce's spectral gate with its defaults.

    Raises:
        PeerUnavailable: it is not installed.
    """
    installed_version("noisereduce", "noisereduce")
    import noisereduce.noisereduce as library

    def gate(waveform: Waveform) -> Waveform:
        if waveform.num_samples < GATE_FRAME:
            return waveform
        with np.errstate(all="ignore"):  # digital silence
            gated = library.reduce_noise(waveform.samples, waveform.sample_rate, stationary=stationary)
        return Waveform(np.nan_to_num(gated).reshape(waveform.samples.shape).astype(np.float32), waveform.sample_rate)

    return gate


def load_grooveclean() -> Repair:
    """Grooveclean at its trained sensitivity, from file to file as its command does.

    Raises:
        PeerUnavailable: it is not installed.
    """
    installed_version("grooveclean", "grooveclean")
    from grooveclean.cli import clean_file
    from grooveclean.detect import Detector

    detector = Detector.load(device="cpu")

    def declick(waveform: Waveform) -> Waveform:
        with tempfile.TemporaryDirectory() as folder:
            damaged, cleaned = Path(folder) / "in.wav", Path(folder) / "out.wav"
            write_audio(damaged, waveform)
            clean_file(damaged, cleaned, detector=detector)
            return read_audio(cleaned)

    return declick


def load_wpe() -> Repair:
    """Weighted prediction error (Nakatani et al., 2010), offline, by nara_wpe.

    Raises:
        PeerUnavailable: it is not installed.
    """
    installed_version("nara-wpe", "weighted prediction error")
    from nara_wpe.utils import istft, stft
    from nara_wpe.wpe import wpe

    def dereverberate(waveform: Waveform) -> Waveform:
        size = 1 << round(np.log2(WPE_WINDOW_SECONDS * waveform.sample_rate))
        if waveform.num_samples < 4 * size:
            return waveform
        spectra = stft(waveform.samples.astype(np.float64), size=size, shift=size // 4).transpose(2, 0, 1)
        dry = wpe(spectra, taps=WPE_TAPS, delay=WPE_DELAY, iterations=WPE_ITERATIONS)
        samples = istft(dry.transpose(1, 2, 0), size=size, shift=size // 4)[:, : waveform.num_samples]
        return Waveform(np.nan_to_num(samples).astype(np.float32), waveform.sample_rate)

    return dereverberate


def load_spectral_subtraction() -> Repair:
    """Pyroomacoustics' spectral subtraction with its defaults, every channel by itself."""
    from pyroomacoustics.denoise.spectral_subtraction import apply_spectral_sub

    def subtract(waveform: Waveform) -> Waveform:
        if waveform.num_samples < 4 * SUBTRACTION_FRAME:
            return waveform
        tail = np.zeros(2 * SUBTRACTION_FRAME, np.float32)
        with np.errstate(all="ignore"):  # digital silence
            channels = [
                apply_spectral_sub(np.concatenate([channel, tail]), nfft=SUBTRACTION_FRAME)
                for channel in waveform.samples
            ]
        there = slice(SUBTRACTION_DELAY, SUBTRACTION_DELAY + waveform.num_samples)
        return Waveform(np.nan_to_num(np.stack(channels)).astype(np.float32)[:, there], waveform.sample_rate)

    return subtract
