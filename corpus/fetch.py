"""Make a training corpus from Debian packages with a free licence: download, unpack, render, join.

    uv run python corpus/fetch.py --to ~/corpus
    uv run python corpus/fetch.py --to ~/corpus --only tuxpaint-stamps-default hydrogen-drumkits
    uv run python corpus/fetch.py --to ~/unseen --sources corpus/unseen.csv     never trained on, for honest tests

Nothing is installed. Run it again after an interruption: finished packages and tracks stay.
"""

import argparse
import csv
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from recordings import joined_tracks, read_recording, write_track

from audiobuff_core.audio.read import read_audio
from audiobuff_core.data.ingest import ingest_shard
from audiobuff_core.data.library import register_shards
from audiobuff_core.errors import AudioBuffError, DataMissing, InvalidAudio, InvalidConfig
from audiobuff_core.files import atomic_path, write_json
from audiobuff_core.progress import show_progress, track

HERE = Path(__file__).resolve().parent
DEMO_CORPUS = HERE.parent / "audiobuff_assets" / "corpus"
# Copies of a commercial recording (The Winstons, 1969), whatever their uploaders say.
NEVER = {"loop_amen", "loop_amen_full"}
RENDER_SECONDS = 300


class Source(NamedTuple):
    """A row of `sources.csv`: which files of a package become what, and how."""

    package: str
    kind: str
    how: str
    pattern: str
    group: str
    most_minutes: str
    licence: str
    authors: str
    homepage: str


def read_sources(table: Path) -> list[Source]:
    """The rows of `table`."""
    with table.open(newline="") as file:
        return [Source(**row) for row in csv.DictReader(file)]


def unpack(package: str, folder: Path) -> Path:
    """The folder with the files of `package`, downloaded (apt checks its signature) and unpacked if it is not there."""
    place = folder / "unpacked" / package
    if place.is_dir():
        return place
    downloads = folder / "packages"
    downloads.mkdir(parents=True, exist_ok=True)
    if not list(downloads.glob(f"{package}_*.deb")):
        run(["apt-get", "download", package], downloads, f"download {package}: is it in your apt sources?")
    archive = sorted(downloads.glob(f"{package}_*.deb"))[-1]
    with tempfile.TemporaryDirectory(dir=downloads) as temporary:
        unpacked = Path(temporary) / package
        try:
            run(["dpkg", "-x", str(archive), str(unpacked)], downloads, f"unpack {archive}")
        except DataMissing:
            archive.unlink()  # truncated: the next run downloads it anew
            raise
        place.parent.mkdir(exist_ok=True)
        unpacked.rename(place)
    return place


def run(command: list[str], folder: Path, what: str) -> None:
    """Run `command` in `folder`.

    Raises:
        DataMissing: it failed, or took more than five minutes.
    """
    try:
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=RENDER_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise DataMissing(f"Could not {what} within {RENDER_SECONDS} s") from error
    if ended.returncode != 0:
        said = (ended.stderr.strip() or ended.stdout.strip() or "no message").splitlines()[-1]
        raise DataMissing(f"Could not {what} ({said})")


def held_out_names() -> set[str]:
    """Names of the demo's held-out tracks, which must stay unseen."""
    with tempfile.TemporaryDirectory() as root:
        shards = register_shards(root, str(DEMO_CORPUS), date="20250101")
        tracks = [one for shard in shards for one in ingest_shard(root, shard).tracks]
    return {one.track_id[:-9] for one in tracks if one.split == "held_out"}  # the id ends in eight digits of a hash


def files_of(source: Source, place: Path, unwanted: set[str]) -> list[Path]:
    """The files that `source` names, in order.

    Raises:
        DataMissing: there are none.
    """
    files = [path for path in sorted(place.glob(source.pattern)) if path.is_file()]
    if not files:
        raise DataMissing(f"Package {source.package} has no {source.pattern}: expected the release of Debian 12")
    return [path for path in files if path.stem not in unwanted] if source.package == "sonic-pi-samples" else files


def render(source: Source, path: Path, soundfont: Path, target: Path) -> None:
    """Render the MIDI file or module at `path` to the WAV file `target`."""
    end = str(float(source.most_minutes) * 60)
    if source.how == "midi":
        dry = ["-g", "0.2", "-R", "0", "-C", "0"]
        command = ["fluidsynth", "-ni", *dry, "-r", "44100", "-F", str(target), str(soundfont), str(path)]
    else:
        command = ["openmpt123", "--batch", "--samplerate", "44100", "--end-time", end, "-o", str(target), str(path)]
    run(command, target.parent, f"render {path.name}")


def make_single(source: Source, path: Path, target: Path, soundfont: Path) -> None:
    """One file, one track."""
    if source.how == "whole":
        write_track(target, read_recording(path), float(source.most_minutes))
        return
    with tempfile.TemporaryDirectory() as temporary:
        rendered = Path(temporary) / "rendered.wav"
        render(source, path, soundfont, rendered)
        write_track(target, read_recording(rendered), float(source.most_minutes))


def make_joined(source: Source, files: list[Path], folder: Path, left_out: list[tuple[str, str]]) -> None:
    """The tracks of every group of `files`; a group that is whole is not made again."""
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        if found := re.search(source.group, path.as_posix()):
            groups[re.sub(r"\W+", "_", next(part for part in found.groups() if part))].append(path)
    for group, members in track(sorted(groups.items()), f"{source.package} {source.kind}", len(groups)):
        name = f"{source.package}_{group}_{Path(source.pattern).suffix[1:]}"
        sealed = folder / f".{name}.whole"
        if sealed.exists():
            continue
        for index, waveform in enumerate(joined_tracks(members, name, float(source.most_minutes), left_out)):
            write_track(folder / f"{name}_{index:02d}.flac", waveform, float(source.most_minutes))
        sealed.touch()


def make_audio(source: Source, files: list[Path], to: Path, soundfont: Path, left_out: list[tuple[str, str]]) -> None:
    """All tracks of one row of the table."""
    folder = to / "audio" / source.kind
    folder.mkdir(parents=True, exist_ok=True)
    if source.how == "joined":
        make_joined(source, files, folder, left_out)
        return
    for path in track(files, f"{source.package} {source.kind}"):
        target = folder / f"{source.package}_{path.stem.replace(' ', '_')}.flac"
        if target.exists():
            continue
        try:
            make_single(source, path, target, soundfont)
        except InvalidAudio as error:
            left_out.append((str(path), str(error)))


def fetch(to: Path, only: list[str], table: Path) -> None:
    """Everything; raises at the first thing that can't be done."""
    sources = read_sources(table)
    rendered = {"fluidsynth", "openmpt123"} if any(source.how in ("midi", "module") for source in sources) else set()
    tools = {"apt-get", "dpkg"} | rendered
    if missing := [tool for tool in sorted(tools) if shutil.which(tool) is None]:
        raise InvalidConfig(f"Missing {', '.join(missing)}: sudo apt-get install fluidsynth openmpt123 (on Debian)")
    packages = list(dict.fromkeys(source.package for source in sources))
    if unknown := sorted(set(only) - set(packages)):
        raise InvalidConfig(f"Package {', '.join(unknown)}: expected any of {', '.join(packages)}")
    wanted = [source for source in sources if source.how != "soundfont" and (not only or source.package in only)]
    needed = {source.package for source in wanted}
    if any(source.how == "midi" for source in wanted):
        needed.add("fluid-soundfont-gm")
    places = {one: unpack(one, to) for one in track(sorted(needed), "Downloading and unpacking")}
    unwanted = held_out_names() | NEVER
    soundfont = next(iter(places.get("fluid-soundfont-gm", to).glob("**/FluidR3_GM.sf2")), Path())
    left_out: list[tuple[str, str]] = []
    for source in wanted:
        make_audio(source, files_of(source, places[source.package], unwanted), to, soundfont, left_out)
    summarise(to, left_out)


def summarise(to: Path, left_out: list[tuple[str, str]]) -> None:
    """Check every track by reading it, print hours by kind, and write them down."""
    seconds: dict[str, float] = {}
    for kind in sorted(path.name for path in (to / "audio").iterdir()):
        tracks = sorted((to / "audio" / kind).glob("*.flac"))
        seconds[kind] = sum(read_audio(path).duration_seconds for path in track(tracks, f"Checking {kind}"))
        print(f"{kind}: {len(tracks)} tracks, {seconds[kind] / 3600:.2f} h")
    if left_out:
        with atomic_path(to / "left_out.csv") as temporary, temporary.open("w", newline="") as file:
            csv.writer(file).writerows([("file", "reason"), *left_out])
        print(f"{len(left_out)} recordings left out, reasons in {to / 'left_out.csv'}")
    write_json(to / "summary.json", {"seconds": seconds})


def main() -> int:
    """Read the flags, fetch, say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, required=True, help="folder for packages (0.9 GB) and audio (about 3 GB)")
    parser.add_argument("--only", nargs="+", default=[], metavar="PACKAGE", help="these packages only")
    parser.add_argument("--sources", type=Path, default=HERE / "sources.csv", metavar="CSV", help="which packages")
    arguments = parser.parse_args()
    try:
        with show_progress():
            fetch(arguments.to.resolve(), arguments.only, arguments.sources)
    except AudioBuffError as error:
        print(f"fetch.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
