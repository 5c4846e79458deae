"""STOI and ESTOI: the share of speech that would be understood."""

import warnings

from audiobuff_core.errors import NotMeasurable
from audiobuff_core.evaluation.metrics.protocol import Comparison, Metric, Samples64

SAMPLE_RATE = 10_000  # pystoi's own


def _intelligibility(comparison: Comparison, *, extended: bool) -> float:
    from pystoi import stoi

    def share(clean: Samples64, estimate: Samples64) -> float:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="Not enough STFT frames")
            try:
                return float(stoi(clean, estimate, SAMPLE_RATE, extended=extended))
            except RuntimeWarning as warning:
                raise NotMeasurable("less than 0.4 s of it are not silent") from warning

    return comparison.at(SAMPLE_RATE).over_channels(share)


STOI = Metric(
    name="stoi",
    title="STOI",
    better="higher",
    material=0.005,
    group="speech",
    about="Short-time objective intelligibility (Taal et al., 2011), 0 to 1, the best.",
    compare=lambda comparison: _intelligibility(comparison, extended=False),
    packages=("pystoi",),
)
ESTOI = Metric(
    name="estoi",
    title="ESTOI",
    better="higher",
    material=0.005,
    group="speech",
    about="STOI for noise that comes and goes (Jensen and Taal, 2016), 0 to 1, the best.",
    compare=lambda comparison: _intelligibility(comparison, extended=True),
    packages=("pystoi",),
)
