"""One damaged file in, one repaired file and its report out."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import DEFAULT_SUBTYPES, write_audio
from audiobuff_core.errors import InvalidAudio, InvalidConfig
from audiobuff_core.files import require_writable, write_json
from audiobuff_core.inference.restorer import Restorer

SHORTEST_SECONDS = 0.05
FLOAT_SUFFIXES = (".wav",)
LARGEST_PEAK = 0.999


def check_restorable(input_path: str | Path, output_path: str | Path) -> Waveform:
    """The audio at `input_path`, once it and the output place are known to be usable.

    Raises:
        AudioNotFound, InvalidAudio: the input is missing, no audio, or shorter than 50 ms.
        InvalidConfig: input and output are the same file, or the output has no known format.
        OutputNotWritable: the output place can't be written.
    """
    if Path(input_path).resolve() == Path(output_path).resolve():
        raise InvalidConfig(
            f"Input and output are both {input_path}: name another output, the input is never overwritten"
        )
    if (suffix := Path(output_path).suffix.lower()) not in DEFAULT_SUBTYPES:
        raise InvalidConfig(
            f"Output {output_path} has format {suffix!r}: expected one of {', '.join(DEFAULT_SUBTYPES)}"
        )
    waveform = read_audio(input_path)
    if waveform.duration_seconds < SHORTEST_SECONDS:
        raise InvalidAudio(
            f"{input_path} has {waveform.num_samples} sample(s), {waveform.duration_seconds:.4f} s: "
            f"expected at least {SHORTEST_SECONDS} s to restore"
        )
    require_writable(output_path)
    return waveform


def restore_file(
    input_path: str | Path,
    output_path: str | Path,
    restorer: Restorer,
    *,
    steps: int | None = None,
    seed: int = 1337,
    sample_rate: int | None = None,
    **options: Any,  # noqa: ANN401 - those of `Restorer.restore`
) -> dict[str, Any]:
    """Restore one file; the report, which is written beside the output as `<output>.json`.

    Formats that can't hold samples above full scale get the whole file scaled down by the least that fits, and the
    report says by how many dB. `sample_rate` resamples first, `options` are those of `Restorer.restore`.

    Raises:
        AudioBuffError: as `check_restorable`, or the disk is full.
    """
    waveform = check_restorable(input_path, output_path)
    if sample_rate is not None:
        waveform = resample(waveform, sample_rate)
    started = time.monotonic()
    restored = restorer.restore(waveform, steps=steps, seed=seed, **options)
    seconds = time.monotonic() - started
    peak = float(np.abs(restored.samples).max())
    gain = 1.0
    if peak > LARGEST_PEAK and Path(output_path).suffix.lower() not in FLOAT_SUFFIXES:
        gain = LARGEST_PEAK / peak
    write_audio(output_path, restored.scaled(gain) if gain < 1 else restored)
    report = {
        "input": str(input_path),
        "output": str(output_path),
        "sample_rate": waveform.sample_rate,
        "channels": waveform.channels,
        "num_samples": waveform.num_samples,
        "seconds": round(seconds, 3),
        "real_time_factor": round(waveform.duration_seconds / max(seconds, 1e-9), 2),
        "output_gain_db": round(20 * float(np.log10(gain)), 3),
        "steps": steps if steps is not None else restorer.meta["inference"]["steps"],
        "seed": seed,
        "model": restorer.identity,
    }
    write_json(f"{output_path}.json", report)
    return report
