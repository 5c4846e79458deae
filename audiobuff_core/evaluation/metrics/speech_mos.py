"""DNSMOS and PLCMOS: networks that heard many listeners and judge speech without a reference."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.evaluation.metrics.onnx_session import one_thread_session
from audiobuff_core.evaluation.metrics.protocol import Comparison, Metric

SAMPLE_RATE = 16_000
PACKAGES = ("speechmos", "onnxruntime", "librosa", "requests")


def dnsmos_opinions(waveform: Waveform) -> dict[str, float]:
    """`ovrl_mos`, `sig_mos`, `bak_mos` and `p808_mos` of a waveform at 16 kHz, means over its channels.

    Sound shorter than 9 s is repeated, as the judge's authors do.
    """
    opinions = [_dnsmos()(_in_range(channel), SAMPLE_RATE, False) for channel in waveform.samples]
    return {name: float(np.mean([one[name] for one in opinions])) for name in opinions[0]}


def plcmos_opinion(waveform: Waveform) -> float:
    """The opinion on a waveform at 16 kHz, the mean over its channels; the judge draws its 15 raters from one seed."""
    state = np.random.get_state()
    try:
        np.random.seed(0)
        return float(np.mean([_plcmos().get_mos(_in_range(channel)) for channel in waveform.samples]))
    finally:
        np.random.set_state(state)


def _in_range(channel: Any) -> Any:  # noqa: ANN401 - arrays
    """Turned down where it exceeds full scale, which the judges refuse."""
    return channel / max(1.0, float(np.abs(channel).max()))


@lru_cache(maxsize=1)
def _dnsmos() -> Any:  # noqa: ANN401 - of an optional package
    from speechmos import dnsmos

    judge = dnsmos.DNSMOS.__new__(dnsmos.DNSMOS)  # its own start takes every core
    folder = Path(dnsmos.__file__).parent / "dnsmos_models"
    judge.onnx_sess, judge.p808_onnx_sess = (
        one_thread_session(folder / "sig_bak_ovr.onnx"),
        one_thread_session(folder / "model_v8.onnx"),
    )
    return judge


@lru_cache(maxsize=1)
def _plcmos() -> Any:  # noqa: ANN401
    from speechmos import plcmos

    judge = plcmos.PLCMOS.__new__(plcmos.PLCMOS)
    judge.max_lens, judge.embed_rounds = np.inf, 15
    judge.session = one_thread_session(Path(plcmos.__file__).parent / "plcmos_models" / "plcmos_v2.onnx")
    return judge


def _opinion(name: str) -> Any:  # noqa: ANN401
    def compare(comparison: Comparison) -> float:
        return comparison.estimate.at(SAMPLE_RATE).derived(dnsmos_opinions)[name]

    return compare


def _dnsmos_metric(key: str, title: str, about: str) -> Metric:
    return Metric(
        name=f"dnsmos_{key}",
        title=title,
        unit="MOS",
        better="higher",
        material=0.05,
        group="speech",
        about=f"DNSMOS P.835 (Reddy et al., 2022), {about}, 1 to 5, without a reference.",
        compare=_opinion(f"{key}_mos"),
        packages=PACKAGES,
        needs_reference=False,
    )


DNSMOS_OVERALL = _dnsmos_metric("ovrl", "DNSMOS", "overall quality")
DNSMOS_SPEECH = _dnsmos_metric("sig", "DNSMOS speech", "of the speech alone")
DNSMOS_BACKGROUND = _dnsmos_metric("bak", "DNSMOS background", "of the background alone")
PLCMOS = Metric(
    name="plcmos",
    title="PLCMOS",
    unit="MOS",
    better="higher",
    material=0.05,
    group="speech",
    about="PLCMOS v2 (Diener et al., 2023), of speech whose lost packets were concealed, 1 to 5, without a reference.",
    compare=lambda comparison: comparison.estimate.at(SAMPLE_RATE).derived(plcmos_opinion),
    packages=PACKAGES,
    needs_reference=False,
)
