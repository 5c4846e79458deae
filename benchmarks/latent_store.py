"""Our latent store against the original's cache of `.pt` files: bytes an hour, and random segments read cold and warm.

Both hold what the published encoders make of the same audio: DAC at 44.1 kHz (9 codes of 1024 or 1024 floats a frame),
X-Codec (8 codes or 1024 floats at 50 Hz) and AudioMAE (768 floats at 6.25 Hz). The codes are random, which no
compression can make smaller, and the codebooks are random too, so no weights are needed.

A read is one segment of 5 s as the original's training takes it: clean target, structure and semantic stream as
float32 tensors, decoded. Cold is the first epoch: every segment once, in random order, after the files' pages were
dropped from the system's cache (posix_fadvise DONTNEED) and with nothing remembered in the process. Warm is the
second. Both sides take turns in one process.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from audiobuff_core.codecs.dac_space import DacSpace
from audiobuff_core.codecs.frames import FrameSequence
from audiobuff_core.codecs.protocols import EncoderIdentity
from audiobuff_core.codecs.xcodec import sum_of_entries
from audiobuff_core.data import group_arrays
from audiobuff_core.data.block_cache import BlockCache
from audiobuff_core.data.group import LatentGroup
from audiobuff_core.data.store import LatentRecord, LatentStore
from audiobuff_core.files import write_json

SEGMENT_SECONDS = 5.0
TRACK_SECONDS = 180.0
# stream -> frames a second, codes a frame (0: floats), width of the codebooks' entries, width in the original's cache
STREAMS = {
    "target": (Fraction(44_100, 512), 9, 8, 1024),
    "structure": (Fraction(50), 8, 1024, 1024),
    "semantic": (Fraction(25, 4), 0, 0, 768),
}


def decoders() -> dict[str, Callable[[np.ndarray], Tensor]]:
    """What turns stored rows into the numbers that a network is given, as DAC (factorized), X-Codec and AudioMAE do."""
    generator = torch.Generator().manual_seed(0)
    stages = [
        SimpleNamespace(
            codebook=SimpleNamespace(weight=torch.randn(1024, 8, generator=generator)),
            out_proj=SimpleNamespace(weight=torch.randn(1024, 8, 1, generator=generator), bias=torch.zeros(1024)),
        )
        for _ in range(9)
    ]
    space = DacSpace(SimpleNamespace(quantizers=stages))
    entries = torch.randn(8, 1024, 1024, generator=generator)
    return {
        "target": lambda stored: space.from_codes(torch.from_numpy(stored.astype(np.int64))),
        "structure": lambda stored: sum_of_entries(entries, torch.from_numpy(stored.astype(np.int64))),
        "semantic": lambda stored: torch.from_numpy(stored.astype(np.float32)),
    }


def write_ours(root: Path, num_tracks: int) -> dict[str, LatentGroup]:
    """One group a stream, a record a track; the target has its damaged twin too, as training needs it."""
    decode, groups = decoders(), {}
    generator = np.random.default_rng(0)
    for stream, (rate, num_codes, _, width) in STREAMS.items():
        num_frames = int(TRACK_SECONDS * rate)
        names = [f"{i:03}/{kind}" for i in range(num_tracks) for kind in ("clean", "damaged")[: 1 + (num_codes == 9)]]

        def records(
            names: list[str] = names, rate: Fraction = rate, num_codes: int = num_codes, width: int = width,
            num_frames: int = num_frames, stream: str = stream,
        ) -> "list[LatentRecord] | object":  # fmt: skip
            for name in names:
                stored = (
                    generator.integers(0, 1024, (num_frames, num_codes), dtype=np.uint16)
                    if num_codes
                    else generator.standard_normal((num_frames, width)).astype(np.float16)
                )
                yield LatentRecord(name, FrameSequence(decode[stream](stored)[None], rate), stored[None])

        dim = decode[stream](np.zeros((1, num_codes or width), np.uint16 if num_codes else np.float16)).shape[1]
        groups[stream] = LatentStore(str(root)).write_group(
            stream, records(), encoder=EncoderIdentity("random", "1", "0" * 16), rate=rate, dim=dim, inputs="benchmark"
        )
    return groups


def write_original(root: Path, num_tracks: int) -> list[list[Path]]:
    """A `.pt` a segment, as the original wrote them: [track][segment]."""
    root.mkdir()
    keys = {"target": "dac_clean", "structure": "xcodec_noisy", "semantic": "mae_noisy"}
    generator, places = torch.Generator().manual_seed(1), []
    for track in range(num_tracks):
        places.append([])
        for segment in range(int(TRACK_SECONDS / SEGMENT_SECONDS)):
            tensors = {
                keys[stream]: torch.randn(round(SEGMENT_SECONDS * rate), width, generator=generator)
                for stream, (rate, _, _, width) in STREAMS.items()
            }
            places[-1].append(root / f"t{track:03}_seg_{segment:05d}.pt")
            torch.save(tensors, places[-1][-1])
    return places


def num_bytes(folder: Path) -> int:
    """Of all files under `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def drop_pages(folder: Path) -> None:
    """Make the system forget the files' content, so that the next read comes from the device."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def read_ours(groups: dict[str, LatentGroup], decode: dict[str, Callable[[np.ndarray], Tensor]], place: tuple) -> None:
    track, segment = place
    for stream, (rate, _, _, _) in STREAMS.items():
        name = f"{track:03}/clean"
        first = int(segment * SEGMENT_SECONDS * rate)
        count = min(round(SEGMENT_SECONDS * rate), groups[stream].frames_of(name) - first)
        decode[stream](groups[stream].read(name, first, count))


def seconds(read: Callable[[tuple], None], places: list[tuple]) -> float:
    begin = time.perf_counter()
    for place in places:
        read(place)
    return (time.perf_counter() - begin) / len(places)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=20, help="of three minutes (default: %(default)s, an hour)")
    parser.add_argument("--rounds", type=int, default=3, help="of both sides (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/latent_store.json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        ours, original = Path(folder) / "ours", Path(folder) / "original"
        groups, files = write_ours(ours, arguments.tracks), write_original(original, arguments.tracks)
        decode, generator = decoders(), np.random.default_rng(2)
        sides = {
            "ours": lambda place: read_ours(groups, decode, place),
            "original": lambda place: torch.load(files[place[0]][place[1]], weights_only=True),
        }
        times: dict[str, list[float]] = {f"{side} {how}": [] for side in sides for how in ("cold", "warm")}
        for index in range(arguments.rounds):
            places = [(int(index) // 36, int(index) % 36) for index in generator.permutation(36 * arguments.tracks)]
            for side, folder_of_it in (("ours", ours), ("original", original))[:: 1 if index % 2 else -1]:
                drop_pages(folder_of_it)
                group_arrays.blocks = BlockCache()  # type: ignore[misc]
                group_arrays._opened.cache_clear()
                times[f"{side} cold"].append(seconds(sides[side], places))
                times[f"{side} warm"].append(seconds(sides[side], places))
        hours = arguments.tracks * TRACK_SECONDS / 3600
        result = {
            "bytes_an_hour": {"ours": num_bytes(ours) / hours, "original": num_bytes(original) / hours},
            "objects": {stream: sum(1 for path in (ours / stream).rglob("*") if path.is_file()) for stream in STREAMS},
            "milliseconds_a_segment": {name: 1000 * statistics.median(kept) for name, kept in times.items()},
            "bytes_ratio": num_bytes(original) / num_bytes(ours),
            **{
                f"{how}_ratio": statistics.median(
                    theirs / mine for mine, theirs in zip(times[f"ours {how}"], times[f"original {how}"], strict=True)
                )
                for how in ("cold", "warm")
            },
        }
    for name, value in result["milliseconds_a_segment"].items():
        print(f"{name:<14} {value:7.3f} ms a segment")
    print(
        f"bytes: the original's are {result['bytes_ratio']:.1f} times ours (goal 20; ours have the damaged target too)"
    )
    print(f"cold:  {result['cold_ratio']:.1f} times faster than the original (goal 3)")
    print(f"warm:  {result['warm_ratio']:.2f} times as fast as the original (goal 1)")
    write_json(arguments.out, result)


if __name__ == "__main__":
    main()
