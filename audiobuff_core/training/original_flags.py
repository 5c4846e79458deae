"""The original's training flags that ours say in another way. Imports no torch."""

from pathlib import Path
from typing import Any, Final

from audiobuff_core.errors import DataMissing, InvalidCheckpoint, InvalidConfig
from audiobuff_core.files import exists, is_local, join, read_bytes, read_json, write_bytes

PREPARED_NAME: Final = "prepared.json"
# flag -> the original's default, which no command line repeats: the latents say it
ORIGINAL_WIDTHS: Final = {"in_channels": 1024, "xcodec_dim": 512, "mae_dim": 768}
_STREAM_OF: Final = {"in_channels": "target", "xcodec_dim": "structure", "mae_dim": "semantic"}


def take_original_flags(arguments: dict[str, Any]) -> tuple[str, str | None]:
    """Take the original's flags out of `arguments`, set what they mean, and return snapshot and resume path.

    `data_dir` becomes the snapshot that `prepared.json` there names and the segment length that it asks for,
    `amp` the precision; widths are only checked.

    Raises:
        DataMissing: nothing was prepared in `data_dir`.
        InvalidConfig: a width is not that of the latents, or `no_amp` contradicts `precision`; both values are named.
    """
    data_dir, snapshot, resume_path, amp = (
        arguments.pop(name) for name in ("data_dir", "snapshot", "resume_path", "amp")
    )
    widths = {name: arguments.pop(name) for name in ORIGINAL_WIDTHS}
    if amp is not None:
        precision = "auto" if amp else "fp32"
        if arguments["precision"] is not None and (arguments["precision"] == "fp32") == amp:
            raise InvalidConfig(
                f"--{'amp' if amp else 'no_amp'} and --precision {arguments['precision']} contradict: leave one out"
            )
        arguments["precision"] = arguments["precision"] or precision
    if snapshot is None:
        place = join(data_dir, PREPARED_NAME)
        if not exists(place):
            raise DataMissing(
                f"No prepared latents in {data_dir}: run python -m audiobuff_core.data.prepare_latents first, or name "
                "--data_dir or --snapshot"
            )
        prepared = read_json(place)
        snapshot = join(data_dir, prepared["snapshot"])
        if arguments["segment_frames"] is None:
            arguments["segment_frames"] = prepared["segment_frames"]
    if any(width is not None for width in widths.values()):
        _check_widths(widths, snapshot)
    return snapshot, resume_path


def adopt_checkpoint(resume_path: str, folder: str) -> None:
    """Make the checkpoint at `resume_path` the one that training in `folder` goes on from.

    Raises:
        CheckpointNotFound: there is none.
        InvalidCheckpoint: it is none of ours, or `folder` has one that is further.
    """
    from audiobuff_core.training.storage import BEST_NAME, RESUME_NAME, CheckpointFolder, step_of

    step, last_step = step_of(resume_path), CheckpointFolder(folder).last_step()
    if last_step is not None and last_step > step:
        raise InvalidCheckpoint(
            f"--resume_path {resume_path} is at step {step}, what is in {folder} at step {last_step}: "
            "training goes on from the furthest; leave --resume_path out or name another --checkpoint_dir"
        )
    if last_step == step:
        return
    if not exists(join(folder, BEST_NAME)):
        # The run's best so far, which later ones must beat, lies beside its other checkpoints.
        folder_of_it = str(Path(resume_path).parent) if is_local(resume_path) else resume_path.rsplit("/", 1)[0]
        beside = join(folder_of_it, BEST_NAME)
        write_bytes(join(folder, BEST_NAME), read_bytes(beside if exists(beside) else resume_path))
    write_bytes(join(folder, RESUME_NAME), read_bytes(resume_path))


def _check_widths(widths: dict[str, int | None], snapshot: str) -> None:
    from audiobuff_core.data.snapshot import load_snapshot

    statistics = load_snapshot(snapshot).statistics
    wrong = [
        f"--{name} {width} but {_STREAM_OF[name]} latents of width {len(statistics[_STREAM_OF[name]][0])}"
        for name, width in widths.items()
        if width is not None and width != len(statistics[_STREAM_OF[name]][0])
    ]
    if wrong:
        raise InvalidConfig(f"Widths that contradict {snapshot}: {'; '.join(wrong)}; leave them out")
