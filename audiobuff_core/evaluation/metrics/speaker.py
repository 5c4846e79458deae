"""Whether it is still the same voice."""

import warnings
from functools import lru_cache
from typing import Any

import numpy as np

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import NotMeasurable
from audiobuff_core.evaluation.metrics.protocol import Comparison, Metric, Samples64

SAMPLE_RATE = 16_000
SHORTEST_SECONDS = 1.6  # one window of the network


def speaker_embedding(waveform: Waveform) -> Samples64:
    """256 numbers of length 1 that tell whose voice it is, of the mean of the channels at 16 kHz."""
    return np.asarray(_network().embed_utterance(waveform.mono().samples[0]), dtype=np.float64)


@lru_cache(maxsize=1)
def _network() -> Any:  # noqa: ANN401 - of an optional package
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it imports from an old place in SciPy
        from resemblyzer import VoiceEncoder

    return VoiceEncoder("cpu", verbose=False)


def _compare(comparison: Comparison) -> float:
    if comparison.clean.waveform.duration_seconds < SHORTEST_SECONDS:
        raise NotMeasurable(f"shorter than {SHORTEST_SECONDS} s")
    same_rate = comparison.at(SAMPLE_RATE)
    return float(same_rate.clean.derived(speaker_embedding) @ same_rate.estimate.derived(speaker_embedding))


SPEAKER = Metric(
    name="speaker_similarity",
    title="Speaker similarity",
    better="higher",
    material=0.01,
    group="harm",
    about="Cosine of two speaker embeddings (Resemblyzer, after Wan et al., 2018); 1 is the same voice.",
    compare=_compare,
    packages=("resemblyzer", "webrtcvad"),
    install="uv sync --group notes-and-voices, or pip install --no-deps resemblyzer webrtcvad-wheels",
)
