"""`python -m audiobuff_core.data.prepare_latents`: from a folder of recordings to latents that `train` takes.

The original's command with the original's flags. The folder it leaves is a store: recordings decoded and verified,
damage as a table, latents in Zarr, one training snapshot; `prepared.json`, written last, names the snapshot. Run
again, it goes on from what is finished.
"""

import argparse
import datetime
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from audiobuff_core.codecs.registry import EncoderChoice, load_codec, load_feature_encoder
from audiobuff_core.command_parser import CommandParser
from audiobuff_core.errors import AudioBuffError, EncoderUnavailable, InvalidConfig
from audiobuff_core.files import join, require_writable, write_json
from audiobuff_core.progress import show_progress

if TYPE_CHECKING:
    from audiobuff_core.data.snapshot import Snapshot

PREPARED_NAME: Final = "prepared.json"
DAC_CODECS: Final = {"16khz": "dac-16khz", "24khz": "dac-24khz", "44khz": "dac"}
EXIT_FAILED, EXIT_INTERRUPTED = 1, 130


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareOptions:
    """What to prepare.

    Attributes:
        source_dir: folder of recordings of any common format; sub-folders too.
        out_dir: the store; what an earlier run left there stays part of it.
        sample_rate: of the kept recordings, in Hz; None takes the codec's.
        segment_seconds: length of a training segment.
        max_files: only the first so many recordings by name; None takes all.
        seed: of the damage.
        recipe: of the damage.
        variants: damaged variants of each recording.
        encoders: by their short names.
    """

    source_dir: str
    out_dir: str
    sample_rate: int | None
    segment_seconds: float
    max_files: int | None
    seed: int
    recipe: str
    variants: int
    encoders: EncoderChoice

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InvalidConfig: naming all that is wrong at once.
        """
        wrong = []
        if not 0.1 <= self.segment_seconds <= 600:
            wrong.append(f"segment_seconds {self.segment_seconds} (expected 0.1 to 600)")
        if self.max_files is not None and self.max_files < 1:
            wrong.append(f"max_files {self.max_files} (expected at least 1)")
        if self.variants < 1:
            wrong.append(f"variants {self.variants} (expected at least 1)")
        if wrong:
            raise InvalidConfig(f"Options that make no sense: {'; '.join(wrong)}")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = CommandParser(
        prog="python -m audiobuff_core.data.prepare_latents",
        description="Damage a folder of recordings and extract the latents that training needs.",
    )
    add_options(made)
    return made


def add_options(made: argparse.ArgumentParser) -> None:
    """Add the original's flags, frozen, and ours."""
    add = made.add_argument
    add("--source_dir", default="./raw_pristine_audio", metavar="DIR", help="recordings (default: %(default)s)")
    add("--out_dir", default="./latents", metavar="DIR", help="where everything goes (default: %(default)s)")
    add("--sample_rate", type=int, metavar="HZ", help="of the kept recordings (default: the codec's)")
    add("--segment_seconds", type=float, default=5.0, help="length of a training segment (default: %(default)s)")
    add("--max_files", type=int, metavar="N", help="only the first N recordings by name (default: all)")
    add(
        "--dac_model_type",
        default="44khz",
        choices=tuple(DAC_CODECS),
        help="which DAC, where --codec is not given (default: %(default)s)",
    )
    add("--seed", type=int, default=1337, help="of the damage (default: %(default)s)")
    add(
        "--codec",
        metavar="NAME[:PLACE]",
        help="codec instead of DAC; builtin needs no weights; PLACE is a path, URL or hub id of other weights",
    )
    for stream, default in (("structure", "xcodec"), ("semantic", "audiomae")):
        add(
            f"--{stream}",
            default=default,
            metavar="NAME[:PLACE]",
            help=f"{stream} encoder likewise, or builtin (default: %(default)s)",
        )
    add("--recipe", default="seed", help="of the damage: seed is the original's (default: %(default)s)")
    add("--variants", type=int, default=1, help="damaged variants a recording (default: %(default)s)")
    add("--debug", action="store_true", help="show the traceback of an error")


def run(arguments: argparse.Namespace) -> int:
    """Prepare as the parsed flags say; 0. Errors as `prepare`."""
    options = PrepareOptions(
        source_dir=arguments.source_dir,
        out_dir=arguments.out_dir,
        sample_rate=arguments.sample_rate,
        segment_seconds=arguments.segment_seconds,
        max_files=arguments.max_files,
        seed=arguments.seed,
        recipe=arguments.recipe,
        variants=arguments.variants,
        encoders=EncoderChoice(
            codec=arguments.codec or DAC_CODECS[arguments.dac_model_type],
            structure=arguments.structure,
            semantic=arguments.semantic,
        ),
    )
    with show_progress():
        snapshot = prepare(options)
    for line in _reports(options.out_dir, snapshot):
        print(line, file=sys.stderr)
    num_training = sum(item.split == "train" for item in snapshot.items)
    num_validation = sum(item.split == "validation" for item in snapshot.items)
    num_held_out = sum(_held_out(options.out_dir, shard) for shard in snapshot.shards)
    print(
        f"Prepared {len(snapshot.items)} items, {num_training} to train and {num_validation} to validate on: "
        f"train.py --data_dir {options.out_dir} "
        f"(recordings held out, never trained on: {num_held_out})"
    )
    return 0


def _held_out(root: str, shard: str) -> int:
    """How many recordings of a shard are held out, to be judged by."""
    from audiobuff_core.data.ingest import load_pristine

    return len({one.recording for one in load_pristine(root, shard).tracks if one.split == "held_out"})


def _reports(root: str, snapshot: "Snapshot") -> Iterator[str]:
    """A line for each recording that is not, or not fully, learned from."""
    from audiobuff_core.data.ingest import load_pristine
    from audiobuff_core.data.seen import passed_over

    for row in passed_over(root):
        yield f"passed over: {row.source}: {row.reason}"
    for shard in snapshot.shards:
        yield from (f"put aside: {row.track_id}: {row.reason}" for row in load_pristine(root, shard).quarantined)
    for track_id in snapshot.left_out:
        yield f"left out: {track_id}: its band ends early, and {snapshot.encoders.codec} can't mask a loss by frequency"


def prepare(options: PrepareOptions) -> "Snapshot":
    """Register, decode, damage and encode the recordings, freeze a snapshot, and write `prepared.json`.

    Raises:
        AudioNotFound: no such folder, or no audio in it.
        EncoderUnavailable: an encoder is unknown, or its weights are missing; found before anything is written.
        InvalidAudio: not one recording is usable.
        InvalidConfig: an option out of its range.
        DataMissing: after splitting there is nothing to train on.
        OutputNotWritable: `out_dir` can't be written.
    """
    from audiobuff_core.data.damage import degrade_shard, plan_shard
    from audiobuff_core.data.extraction import STREAMS, extract_shard
    from audiobuff_core.data.ingest import ingest_shard
    from audiobuff_core.data.library import list_shards, load_shard, register_shards
    from audiobuff_core.data.pristine import train_on_something
    from audiobuff_core.data.snapshot import make_snapshot

    try:
        codec = load_codec(options.encoders.codec)
        load_feature_encoder("structure", options.encoders.structure)
        load_feature_encoder("semantic", options.encoders.semantic)
    except EncoderUnavailable as error:
        way_out = "--codec builtin --structure builtin --semantic builtin need no weights"
        raise EncoderUnavailable(f"{error}; {way_out}") from error
    root = options.out_dir
    require_writable(join(root, PREPARED_NAME))
    today = datetime.datetime.now(tz=datetime.UTC).strftime("%Y%m%d")
    register_shards(root, options.source_dir, date=today, max_files=options.max_files)
    shards = list_shards(root)
    for shard in shards:
        ingest_shard(root, load_shard(root, shard), sample_rate=options.sample_rate or codec.sample_rate)
    train_on_something(root, shards)
    for shard in shards:
        plan_shard(root, shard, recipe=options.recipe, variants=options.variants, seed=options.seed)
        degrade_shard(root, shard)
        for stream in STREAMS:
            extract_shard(root, shard, stream, encoders=options.encoders)
    snapshot = make_snapshot(root, shards, encoders=options.encoders)
    note: dict[str, Any] = {
        "snapshot": join("snapshots", snapshot.path.rsplit("/", 1)[-1]),
        "segment_seconds": options.segment_seconds,
        "segment_frames": max(2, round(options.segment_seconds * codec.frame_rate)),
        "encoders": options.encoders.as_dict(),
    }
    write_json(join(root, PREPARED_NAME), note)
    return snapshot


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare as `argv` says; the exit code: 0, 1 after an error, 130 after Ctrl-C."""
    arguments = parser().parse_args(argv)
    try:
        return run(arguments)
    except AudioBuffError as error:
        if arguments.debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again: it goes on from what is finished.", file=sys.stderr)
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
