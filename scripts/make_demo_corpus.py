"""Make the bundled demo corpus from an unpacked Debian package `sonic-pi-samples`.

    apt-get download sonic-pi-samples && dpkg -x sonic-pi-samples_*.deb unpacked
    python scripts/make_demo_corpus.py unpacked

Every recording comes from Freesound under CC0; only those are taken whose licence and source the package states one
by one, in its `copyright` or in the samples' `README.md`. They are mixed to mono, kept at 44.1 kHz and 16 bit, and cut
so that none takes more than its share of the repository. One held-out loop, damaged by the recipe `seed`, goes to
`inbox/` as something to repair.
"""

import argparse
import csv
import gzip
import hashlib
import io
import re
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.write import write_audio
from audiobuff_core.data.ingest import PristineTrack, ingest_shard
from audiobuff_core.data.library import register_shards
from audiobuff_core.degradation.plan import draw_row
from audiobuff_core.degradation.render import render

CORPUS = Path(__file__).resolve().parent.parent / "audiobuff_assets" / "corpus"
SAMPLES = Path("usr/share/sonic-pi/samples")
COPYRIGHT = Path("usr/share/doc/sonic-pi-samples/copyright")
SAMPLE_RATE = 44_100
SHORTEST_SECONDS = 0.5
LONGEST_SECONDS = 8.0
SHORTEST_CUT_SECONDS = 2.0
SHARE_BYTES = 122_000
FADE_SECONDS = 0.02
INBOX_SEED = 2
# Copies of a commercial recording (The Winstons, 1969), whatever their uploaders say.
EXCLUDED = {"loop_amen", "loop_amen_full"}
VOICES = {"ambi_choir", "misc_burp"}
MUSIC_PREFIXES = ("bass", "bd", "drum", "elec", "guit", "loop", "perc", "sn", "tabla")
EFFECTS = {"loop_3d_printer", "perc_door", "perc_impact1", "perc_impact2", "perc_swash", "perc_swoosh", "perc_till"}
MUSICAL_AMBIENCES = {"ambi_drone", "ambi_glass_hum", "ambi_glass_rub", "ambi_haunted_hum", "ambi_piano"}
FIELDS = ("file", "kind", "author", "source", "licence", "licence_stated_in", "original", "cut_seconds", "sha256")


class Source(NamedTuple):
    """Who made a recording, where it was published, and which document says that it is CC0."""

    author: str
    url: str
    stated_in: str


def read_sources(package: Path) -> dict[str, Source]:
    """The source of each sample by its name, for those stated to be CC0."""
    return _from_readme(package / SAMPLES / "README.md") | _from_copyright(package / COPYRIGHT)


def _from_copyright(path: Path) -> dict[str, Source]:
    data = path.read_bytes()
    text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
    pattern = re.compile(
        r"^Files: etc/samples/(\w+)\.flac\nCopyright: \d+ ([^\n<]+?)(?: <[^\n]*>)?\nSource: (\S+)[^\n]*\nLicense: CC0$",
        re.MULTILINE,
    )
    return {name: Source(author, url, "copyright") for name, author, url in pattern.findall(text)}


def _from_readme(path: Path) -> dict[str, Source]:
    text = path.read_text()
    if "Creative Commons 0 License" not in text:
        raise SystemExit(f"{path} no longer says that the samples are CC0: check the licences again")
    found = re.findall(r"^\* `:(\w+)`\s*- (https?://\S*freesound\.org/people/([^/]+)/\S+)", text, re.MULTILINE)
    # The list writes `glitch_perc_1` and `loop_3dprinter` where the files are glitch_perc1 and loop_3d_printer.
    return {_folded(name): Source(author.replace("%20", " "), url, "README.md") for name, url, author in found}


def _folded(name: str) -> str:
    return "loop_3d_printer" if name == "loop_3dprinter" else re.sub(r"_(\d)$", r"\1", name)


def encode(samples: NDArray[np.float64]) -> bytes:
    """The smallest 16-bit FLAC of mono `samples`."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16", compression_level=1.0)
    return buffer.getvalue()


def cut(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """`samples` cut with a short fade to 8 s, or further while they exceed their share of bytes, but not under 2 s."""
    seconds = min(LONGEST_SECONDS, len(samples) / SAMPLE_RATE)
    for _ in range(6):
        num_bytes = len(encode(samples[: int(seconds * SAMPLE_RATE)]))
        if num_bytes <= SHARE_BYTES or seconds <= SHORTEST_CUT_SECONDS:
            break
        seconds = max(SHORTEST_CUT_SECONDS, round(seconds * SHARE_BYTES / num_bytes - 0.05, 2))
    kept = samples[: int(seconds * SAMPLE_RATE)].copy()
    if len(kept) < len(samples):
        fade = int(FADE_SECONDS * SAMPLE_RATE)
        kept[-fade:] *= np.linspace(1.0, 0.0, fade)
    return kept


def kind_of(name: str) -> str:
    """`music`, `voice` or `effect`."""
    if name in VOICES:
        return "voice"
    musical = name.startswith(MUSIC_PREFIXES) and name not in EFFECTS
    return "music" if musical or name in MUSICAL_AMBIENCES else "effect"


def make_corpus(package: Path) -> list[dict[str, str]]:
    """Write the FLAC files; returns the rows of the table."""
    rows = []
    for name, source in sorted(read_sources(package).items()):
        path = package / SAMPLES / f"{name}.flac"
        if name in EXCLUDED or not path.exists():
            continue
        interleaved, sample_rate = soundfile.read(path, dtype="float64", always_2d=True)
        if sample_rate != SAMPLE_RATE or len(interleaved) < SHORTEST_SECONDS * SAMPLE_RATE:
            continue
        mono = interleaved.mean(axis=1)
        kept = cut(mono)
        data = encode(kept)
        (CORPUS / f"{name}.flac").write_bytes(data)
        row = (
            f"{name}.flac", kind_of(name), source.author, source.url, "CC0-1.0", source.stated_in, path.name,
            f"{len(kept) / SAMPLE_RATE:.2f}" if len(kept) < len(mono) else "", hashlib.sha256(data).hexdigest(),
        )  # fmt: skip
        rows.append(dict(zip(FIELDS, row, strict=True)))
    return rows


def pristine_tracks() -> list[PristineTrack]:
    """The corpus as the pipeline sees it, measured and split; its files are gone again afterwards."""
    with tempfile.TemporaryDirectory() as root:
        shards = register_shards(root, str(CORPUS), date="20250101")
        return [one for shard in shards for one in ingest_shard(root, shard).tracks]


def damage_a_loop(tracks: list[PristineTrack], rows: list[dict[str, str]]) -> dict[str, str]:
    """Write the longest held-out loop, damaged, into the inbox; returns its row of the table."""
    loops = [one for one in tracks if one.split == "held_out" and one.track_id.startswith("loop")]
    chosen = max(loops, key=lambda one: one.num_samples)
    clean_file = f"{chosen.track_id[:-9]}.flac"
    plan = draw_row(chosen.track_id, chosen.audio_hash, recipe="seed", seed=INBOX_SEED, variant=0)
    damaged = render(plan, read_audio(CORPUS / clean_file))
    path = CORPUS / "inbox" / "damaged_loop.flac"
    peak = float(np.abs(damaged.samples).max())
    write_audio(path, damaged.scaled(min(1.0, 0.99 / peak)), subtype="PCM_16")
    source = next(row for row in rows if row["file"] == clean_file)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return {**source, "file": "inbox/damaged_loop.flac", "original": clean_file, "sha256": sha256}


def main() -> None:
    """Make the corpus and its table anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="folder into which the Debian package was unpacked")
    package: Path = parser.parse_args().package
    if not (package / SAMPLES).is_dir():
        sys.exit(f"{package} has no {SAMPLES}: expected the unpacked package sonic-pi-samples")
    CORPUS.mkdir(parents=True, exist_ok=True)
    for old in CORPUS.glob("*.flac"):
        old.unlink()
    rows = make_corpus(package)
    tracks = pristine_tracks()
    rows.append(damage_a_loop(tracks, rows))
    with (CORPUS / "sources.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, FIELDS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    total = sum((CORPUS / row["file"]).stat().st_size for row in rows)
    minutes = sum(one.duration_seconds for one in tracks) / 60.0
    held_out = [one for one in tracks if one.split == "held_out"]
    long_enough = sum(one.duration_seconds >= 1.0 for one in held_out)
    print(f"{len(rows)} files, {total / 1e6:.2f} MB, {minutes:.2f} minutes in {CORPUS}")
    print(f"held out: {len(held_out)} tracks, {long_enough} of them of a second or more")


if __name__ == "__main__":
    main()
