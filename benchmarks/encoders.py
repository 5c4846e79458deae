"""How fast the published encoders turn recordings into what is stored: against their bare networks, and as it was done.

    uv run python benchmarks/encoders.py

*Ours* is what extraction runs: resample, level, windows or chunks with context, the network, the stored form.
*Bare* is the network alone on the very tensors that ours gave it, so ours / bare is the share of the time that is not
overhead. *Original* is the original's way: segments of 5 s one by one in single precision, each package's model as it
loads, the latents as floats; its segments are given at the encoder's rate, so resampling is not counted against it.
The three take turns; ratios are medians over the rounds. The weights are random, of the published sizes: speed does
not depend on them. --weights names a folder with other weights, such as real ones.
"""

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs.audiomae import MEAN, STD, WINDOW_MELS, load_audiomae
from audiobuff_core.codecs.dac import load_dac
from audiobuff_core.codecs.weights import PUBLISHED
from audiobuff_core.codecs.xcodec import load_xcodec
from audiobuff_core.files import write_json

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from random_weights import save_published

SEGMENT_SECONDS = 5
GOALS = {"bare": 0.9, "original": 1.2}


@dataclass(frozen=True)
class Sides:
    """One encoder: how it extracts, the network it calls (`owner.method`), and the original's way of a segment."""

    encoder: Any
    owner: Any
    method: str
    original: Callable[[Tensor], object]

    def extract(self, waveform: Waveform) -> None:
        """As `extract_shard` does."""
        self.encoder.to_stored(self.encoder.encode(waveform).values)

    def given(self, waveform: Waveform) -> list[Tensor]:
        """The tensors that extraction gives to the network."""
        seen: list[Tensor] = []
        network = getattr(self.owner, self.method)

        def listening(tensor: Tensor) -> Tensor:
            seen.append(tensor)
            return network(tensor)

        setattr(self.owner, self.method, listening)
        try:
            self.extract(waveform)
        finally:
            delattr(self.owner, self.method)
        return seen


def dac(weights: Path) -> Sides:
    codec = load_dac(str(weights))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from dac import DAC

        model = DAC.load(str(weights)).eval()

    def original(segment: Tensor) -> object:
        return model.encode(model.preprocess(segment[None, None], codec.sample_rate))[0]

    return Sides(codec, codec, "_codes_of", original)


def xcodec(weights: Path) -> Sides:
    encoder: Any = load_xcodec(str(weights))
    from transformers import XcodecModel

    model = XcodecModel.from_pretrained(weights).eval()

    def original(segment: Tensor) -> object:
        return model.quantizer.decode(model.encode(segment[None, None]).audio_codes.transpose(0, 1))

    return Sides(encoder, encoder._network, "codes_of_audio", original)


def audiomae(weights: Path) -> Sides:
    encoder = load_audiomae(str(weights))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import timm
        from torchaudio.compliance.kaldi import fbank

    model = timm.create_model(f"local-dir:{weights}", pretrained=True, num_classes=0).eval()

    def original(segment: Tensor) -> object:
        mels = fbank(
            (segment - segment.mean())[None], htk_compat=True, sample_frequency=16_000, use_energy=False,
            window_type="hanning", num_mel_bins=128, dither=0.0, frame_shift=10,
        )  # fmt: skip
        picture = torch.nn.functional.pad(mels, (0, 0, 0, WINDOW_MELS - len(mels)))
        return model.forward_features((picture - MEAN)[None, None] / (2 * STD))[:, 1:]

    return Sides(encoder, encoder._model, "forward_features", original)


ENCODERS = {"dac": dac, "xcodec": xcodec, "audiomae": audiomae}


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    with torch.no_grad():
        work()
    return time.perf_counter() - begin


def measured(sides: Sides, waveform: Waveform, rounds: int) -> dict[str, float]:
    """Seconds of audio a second of each side, and the ratios."""
    chunks = sides.given(waveform)
    at_rate = torch.from_numpy(resample(waveform, sides.encoder.sample_rate).samples[0])
    segments = at_rate.split(SEGMENT_SECONDS * sides.encoder.sample_rate)
    network = getattr(sides.owner, sides.method)
    works: dict[str, Callable[[], object]] = {
        "ours": lambda: sides.extract(waveform),
        "bare": lambda: [network(chunk) for chunk in chunks],
        "original": lambda: [sides.original(segment) for segment in segments],
    }
    with torch.no_grad():
        sides.original(segments[0])  # the first call of each is slower: it plans, and grows the memory
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds):
        for name in list(works)[:: 1 if turn % 2 else -1]:
            times[name].append(seconds(works[name]))
    rates = {name: waveform.duration_seconds / statistics.median(kept) for name, kept in times.items()}
    ratios = {
        f"of_{name}": statistics.median(
            theirs / ours for ours, theirs in zip(times["ours"], times[name], strict=True)
        )
        for name in GOALS
    }  # fmt: skip
    return {f"{name}_seconds_a_second": rate for name, rate in rates.items()} | ratios


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=1, help="of audio, 5 s each (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of the three sides (default: %(default)s)")
    parser.add_argument("--encoders", nargs="+", choices=tuple(ENCODERS), default=tuple(ENCODERS), metavar="NAME")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="weights folder (default: random ones are made)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/encoders.json"))
    arguments = parser.parse_args()
    generator = np.random.default_rng(0)
    samples = 0.1 * generator.standard_normal((1, arguments.segments * SEGMENT_SECONDS * 44_100))
    waveform = Waveform(samples.astype(np.float32), 44_100)
    result: dict[str, Any] = {
        "seconds": arguments.segments * SEGMENT_SECONDS,
        "rounds": arguments.rounds,
        "threads": torch.get_num_threads(),
        "goals": GOALS,
    }
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.weights or Path(folder)
        if arguments.weights is None:
            save_published(root, arguments.encoders)
        for name in arguments.encoders:
            found = measured(ENCODERS[name](root / PUBLISHED[name].place), waveform, arguments.rounds)
            result[name] = found
            print(
                f"{name:<9} {found['ours_seconds_a_second']:6.2f} s of audio a second; "
                f"{100 * found['of_bare']:5.1f} % of the bare network (goal {100 * GOALS['bare']:.0f} %), "
                f"{found['of_original']:5.2f} times the original's way (goal {GOALS['original']})",
                flush=True,
            )
    write_json(arguments.out, result)


if __name__ == "__main__":
    main()
