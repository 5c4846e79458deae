"""Whether the harmony is still the same."""

import numpy as np

from audiobuff_core.evaluation.metrics.protocol import Metric, Samples64

SAMPLE_RATE = 22_050
WINDOW_SAMPLES, HOP_SAMPLES = 4096, 1024
# Frames of the clean recording that are lower than its loudest by more are too faint to have a harmony.
QUIETEST_DB = 40.0


def chroma_similarity(reference: Samples64, estimate: Samples64) -> float:
    """The mean cosine of the energies of the twelve pitch classes, 1 for equal harmony; [samples] at 22.05 kHz."""
    import librosa

    chromas = [
        librosa.feature.chroma_stft(
            y=samples, sr=SAMPLE_RATE, n_fft=WINDOW_SAMPLES, hop_length=HOP_SAMPLES, tuning=0.0, norm=None
        )
        for samples in (_long_enough(reference), _long_enough(estimate))
    ]
    one, other = chromas
    energy = one.sum(axis=0)
    loud = energy >= energy.max() * 10 ** (-QUIETEST_DB / 10)
    lengths = np.linalg.norm(one[:, loud], axis=0) * np.linalg.norm(other[:, loud], axis=0)
    return float(np.mean((one[:, loud] * other[:, loud]).sum(axis=0) / np.maximum(lengths, 1e-12)))


def _long_enough(samples: Samples64) -> Samples64:
    return np.pad(samples, (0, max(0, WINDOW_SAMPLES - len(samples))))


CHROMA = Metric(
    name="chroma_similarity",
    title="Chroma similarity",
    better="higher",
    material=0.005,
    group="harm",
    about="Mean cosine of the energies of the twelve pitch classes where the clean recording sounds; 1 is the same "
    "harmony.",
    compare=lambda comparison: comparison.at(SAMPLE_RATE).over_channels(chroma_similarity),
)
