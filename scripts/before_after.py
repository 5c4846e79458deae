"""Draw docs/images/before_after.png: a bundled recording with mains hum and hiss, and what `restore` makes of it.

uv run python scripts/before_after.py                       by the model that `audiobuff restore` takes here
uv run python scripts/before_after.py --checkpoint PLACE    by another one
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

import matplotlib.pyplot as plt
import numpy as np
from scipy.signal import spectrogram

from audiobuff_assets.cli import main as audiobuff
from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.write import write_audio
from audiobuff_core.degradation.plan import Fault, PlanRow
from audiobuff_core.degradation.render import render
from audiobuff_core.evaluation.metrics.lsd import lsd_db
from audiobuff_core.evaluation.metrics.si_sdr import si_sdr_db

PROJECT = Path(__file__).resolve().parent.parent
CLEAN = PROJECT / "audiobuff_assets/corpus/loop_tabla.flac"  # held out: no model here was trained on it
PLACE = PROJECT / "docs/images/before_after.png"
FAULTS: Final = (
    Fault("noise", {"color": "white", "snr_db": 10.0}),
    Fault(
        "hum",
        {
            "mains_hz": 50, "offset_share": 0.001, "drift_share": 0.0005, "drift_hz": 0.1, "num_harmonics": 8,
            "level_dbfs": -26.0,
        },
    ),
)  # fmt: skip


def main() -> int:
    """Damage, restore and draw; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", metavar="PLACE", help="which model (default: as `audiobuff restore` chooses)")
    model = parser.parse_args().checkpoint
    with tempfile.TemporaryDirectory() as folder:
        damaged, repaired = f"{folder}/damaged.wav", f"{folder}/repaired.wav"
        write_audio(damaged, render(PlanRow("picture", "0" * 64, 0, "picture", 1337, FAULTS), read_audio(CLEAN).mono()))
        if code := audiobuff(["restore", damaged, "-o", repaired, *(["--checkpoint", model] if model else [])]):
            return code
        _draw({"damaged": Path(damaged), "repaired": Path(repaired), "what it was": CLEAN})
    print(PLACE)
    return 0


def _draw(places: dict[str, Path]) -> None:
    clean = read_audio(CLEAN).mono().samples[0].astype(np.float64)
    figure, axes = plt.subplots(1, len(places), figsize=(11, 3.4), sharey=True, constrained_layout=True)
    for axis, (name, place) in zip(axes, places.items(), strict=True):
        sound = read_audio(place).mono()
        samples = sound.samples[0].astype(np.float64)
        hertz, seconds, power = spectrogram(samples, sound.sample_rate, nperseg=2048, noverlap=1792)
        axis.pcolormesh(seconds, hertz, 10 * np.log10(power + 1e-14), vmin=-110, vmax=-40, cmap="magma")
        axis.set_yscale("log")
        figures = ""
        if place != CLEAN:
            figures = f"\nSI-SDR {si_sdr_db(clean, samples):.1f} dB, LSD {lsd_db(clean, samples):.1f} dB"
        axis.set(title=name + figures, xlabel="seconds", ylim=(40, 16_000))
    axes[0].set_ylabel("Hz")
    PLACE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLACE, dpi=90)


if __name__ == "__main__":
    sys.exit(main())
