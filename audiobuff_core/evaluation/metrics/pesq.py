"""PESQ: the ITU's model of what listeners would say of speech over a telephone."""

from audiobuff_core.errors import NotMeasurable
from audiobuff_core.evaluation.metrics.protocol import Comparison, Metric, Samples64

SAMPLE_RATE = 16_000


def _compare(comparison: Comparison) -> float:
    from pesq import BufferTooShortError, NoUtterancesError, pesq

    def opinion(clean: Samples64, estimate: Samples64) -> float:
        try:
            return float(pesq(SAMPLE_RATE, clean, estimate, "wb"))
        except NoUtterancesError as error:
            raise NotMeasurable("PESQ finds no utterance") from error
        except BufferTooShortError as error:
            raise NotMeasurable("shorter than a quarter of a second") from error

    return comparison.at(SAMPLE_RATE).over_channels(opinion)


PESQ = Metric(
    name="pesq_mos",
    title="PESQ",
    unit="MOS",
    better="higher",
    material=0.05,
    group="speech",
    about="Wide-band PESQ (ITU-T P.862.2) at 16 kHz, 1.04 to 4.64, the best.",
    compare=_compare,
    packages=("pesq",),
)
