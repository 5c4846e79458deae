"""Every metric by name, in the order of tables. A new metric is one line here."""

from collections.abc import Sequence

from audiobuff_core.errors import MetricUnavailable
from audiobuff_core.evaluation.metrics.added import BAND_ADDED, FLOOR_ADDED, SILENCE_ADDED
from audiobuff_core.evaluation.metrics.band_split import LSD_HIGH, LSD_LOW
from audiobuff_core.evaluation.metrics.chroma import CHROMA
from audiobuff_core.evaluation.metrics.level import LUFS_DELTA, TRUE_PEAK_OVER
from audiobuff_core.evaluation.metrics.lsd import LSD, LSD_LOG10
from audiobuff_core.evaluation.metrics.mcd import MCD
from audiobuff_core.evaluation.metrics.mr_stft import MR_STFT
from audiobuff_core.evaluation.metrics.notes import NOTE_F1
from audiobuff_core.evaluation.metrics.pesq import PESQ
from audiobuff_core.evaluation.metrics.pitch import F0_ERROR, VOICING_ERROR
from audiobuff_core.evaluation.metrics.protocol import Metric
from audiobuff_core.evaluation.metrics.si_sdr import SI_SDR
from audiobuff_core.evaluation.metrics.speaker import SPEAKER
from audiobuff_core.evaluation.metrics.speech_mos import DNSMOS_BACKGROUND, DNSMOS_OVERALL, DNSMOS_SPEECH, PLCMOS
from audiobuff_core.evaluation.metrics.stoi import ESTOI, STOI
from audiobuff_core.evaluation.metrics.visqol import VISQOL
from audiobuff_core.evaluation.metrics.zimtohrli import ZIMTOHRLI

_QUALITY = (SI_SDR, LSD, ZIMTOHRLI, VISQOL, LSD_LOG10, LSD_LOW, LSD_HIGH, MR_STFT, MCD)
_SPEECH = (PESQ, STOI, ESTOI, DNSMOS_OVERALL, DNSMOS_SPEECH, DNSMOS_BACKGROUND, PLCMOS)
_LEVEL = (LUFS_DELTA, TRUE_PEAK_OVER)
_HARM = (SILENCE_ADDED, BAND_ADDED, FLOOR_ADDED, F0_ERROR, VOICING_ERROR, CHROMA, NOTE_F1, SPEAKER)
METRICS: dict[str, Metric] = {metric.name: metric for metric in (*_QUALITY, *_SPEECH, *_LEVEL, *_HARM)}
# Enough to rank restorations of any sound; the first that is there is what items are ranked by.
MAIN = ("zimtohrli", "visqol_mos", "lsd_db", "si_sdr_db")

# They cost next to nothing and need no package beyond AudioBuff's own: quality, level and harm.
QUICK = (
    "lsd_db", "si_sdr_db", "lufs_delta", "true_peak_over_db", "silence_added_db", "band_added_db", "floor_added_db",
)  # fmt: skip


def find_metrics(names: Sequence[str] | None = None) -> tuple[Metric, ...]:
    """The metrics called `names`, or all of them, installed or not.

    Raises:
        MetricUnavailable: no metric has one of the names.
    """
    unknown = [name for name in names or () if name not in METRICS]
    if unknown:
        raise MetricUnavailable(f"No metric is called {', '.join(unknown)}: expected some of {', '.join(METRICS)}")
    return tuple(METRICS[name] for name in names) if names else tuple(METRICS.values())
