"""How fast the published encoders turn recordings into what is stored: against their bare networks, and as it was done.

    uv run python benchmarks/encoders.py

*Ours* is what extraction runs: resample, level, windows or chunks with context, the network, the stored form.
*Bare* is the network alone on the very tensors that ours gave it, so ours / bare is the share of the time that is not
overhead. *Original* is the original's way: segments of 5 s one by one in single precision, each package's model as it
loads, the latents as floats; its segments are given at the encoder's rate, so resampling is not counted against it,
and it runs in a process of its own, without the large pages that audiobuff_core asks torch for. The recording is
longer for X-Codec and AudioMAE, whose windows are longer than the original's segments and overlap.
The three take turns; ratios are medians over the rounds. The weights are random, of the published sizes: speed does
not depend on them. --weights names a folder with other weights, such as real ones.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
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
SEGMENTS = {"dac": 2, "xcodec": 12, "audiomae": 12}
GOALS = {"bare": 0.9, "original": 1.2}


@dataclass(frozen=True)
class Sides:
    """One encoder: how it extracts, and the network it calls (`owner.method`)."""

    encoder: Any
    owner: Any
    method: str

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
    return Sides(codec, codec, "_codes_of")


def xcodec(weights: Path) -> Sides:
    encoder: Any = load_xcodec(str(weights))
    return Sides(encoder, encoder._network, "codes_of_audio")


def audiomae(weights: Path) -> Sides:
    encoder = load_audiomae(str(weights))
    return Sides(encoder, encoder._model, "forward_features")


def original_dac(weights: Path) -> Callable[[Tensor], object]:
    from dac import DAC

    model = DAC.load(str(weights)).eval()
    return lambda segment: model.encode(model.preprocess(segment[None, None], model.sample_rate))[0]


def original_xcodec(weights: Path) -> Callable[[Tensor], object]:
    from transformers import XcodecModel

    model = XcodecModel.from_pretrained(weights).eval()
    return lambda segment: model.quantizer.decode(model.encode(segment[None, None]).audio_codes.transpose(0, 1))


def original_audiomae(weights: Path) -> Callable[[Tensor], object]:
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

    return original


ENCODERS = {"dac": (dac, original_dac), "xcodec": (xcodec, original_xcodec), "audiomae": (audiomae, original_audiomae)}


def time_original(name: str, weights: Path, segments: list[Any], ours: Connection) -> None:
    """In a process of its own: the seconds of each round, whenever `ours` sends True."""
    warnings.simplefilter("ignore")
    encode, tensors = ENCODERS[name][1](weights), [torch.from_numpy(segment) for segment in segments]
    seconds(lambda: encode(tensors[0]))  # the first call is slower: it plans, and grows the memory
    ours.send("ready")
    while ours.recv():
        ours.send(seconds(lambda: [encode(segment) for segment in tensors]))


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    with torch.no_grad():
        work()
    return time.perf_counter() - begin


def measured(name: str, weights: Path, waveform: Waveform, rounds: int) -> dict[str, float]:
    """Seconds of audio a second of each side, and the ratios."""
    sides = ENCODERS[name][0](weights)
    chunks = sides.given(waveform)
    at_rate = resample(waveform, sides.encoder.sample_rate).samples[0]
    length = SEGMENT_SECONDS * sides.encoder.sample_rate
    segments = [at_rate[begin : begin + length] for begin in range(0, len(at_rate), length)]
    network = getattr(sides.owner, sides.method)
    spawning = multiprocessing.get_context("spawn")
    theirs, other = spawning.Pipe()
    process = spawning.Process(target=time_original, args=(name, weights, segments, other))
    os.environ["THP_MEM_ALLOC_ENABLE"] = "0"  # for that process: this one's torch has read it
    process.start()
    os.environ["THP_MEM_ALLOC_ENABLE"] = "1"
    other.close()
    theirs.recv()

    def original() -> float:
        theirs.send(True)
        return float(theirs.recv())

    works: dict[str, Callable[[], float]] = {
        "ours": lambda: seconds(lambda: sides.extract(waveform)),
        "bare": lambda: seconds(lambda: [network(chunk) for chunk in chunks]),
        "original": original,
    }
    times: dict[str, list[float]] = {side: [] for side in works}
    for turn in range(rounds):
        for side in list(works)[:: 1 if turn % 2 else -1]:
            times[side].append(works[side]())
    theirs.send(False)
    process.join()
    rates = {side: waveform.duration_seconds / statistics.median(kept) for side, kept in times.items()}
    ratios = {
        f"of_{side}": statistics.median(their / our for our, their in zip(times["ours"], times[side], strict=True))
        for side in GOALS
    }
    return {f"{side}_seconds_a_second": rate for side, rate in rates.items()} | ratios


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, help=f"of audio, 5 s each (default: {SEGMENTS})")
    parser.add_argument("--rounds", type=int, default=3, help="of the three sides (default: %(default)s)")
    parser.add_argument("--encoders", nargs="+", choices=tuple(ENCODERS), default=tuple(ENCODERS), metavar="NAME")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="weights folder (default: random ones are made)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/encoders.json"))
    arguments = parser.parse_args()
    generator = np.random.default_rng(0)
    result: dict[str, Any] = {"rounds": arguments.rounds, "threads": torch.get_num_threads(), "goals": GOALS}
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.weights or Path(folder)
        if arguments.weights is None:
            save_published(root, arguments.encoders)
        for name in arguments.encoders:
            length = SEGMENT_SECONDS * (arguments.segments or SEGMENTS[name])
            samples = 0.1 * generator.standard_normal((1, length * 44_100))
            waveform = Waveform(samples.astype(np.float32), 44_100)
            found = measured(name, root / PUBLISHED[name].place, waveform, arguments.rounds)
            result[name] = {"seconds": length} | found
            print(
                f"{name:<9} {found['ours_seconds_a_second']:6.2f} s of audio a second; "
                f"{100 * found['of_bare']:5.1f} % of the bare network (goal {100 * GOALS['bare']:.0f} %), "
                f"{found['of_original']:5.2f} times the original's way (goal {GOALS['original']})",
                flush=True,
            )
    write_json(arguments.out, result)


if __name__ == "__main__":
    main()
