"""`audiobuff restore INPUT... -o OUT`: any recording in, the same recording back, repaired."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from audiobuff_core.errors import InvalidConfig
from audiobuff_core.inference.settings import NETWORK, PRESETS, SOLVERS, RestoreSettings

FindModel = Callable[[], str | None]

_EXAMPLES: Final = """examples:
  audiobuff restore tape.wav -o repaired.wav
  audiobuff restore tapes/ more/*.mp3 -o repaired/ --preset best
  audiobuff restore tape.flac -o out.flac --only 1:32-1:40 --delta --spectrogram
  audiobuff restore speech.m4a -o out.m4a --strength 0.6 --keep-below 4000
  audiobuff restore -o out.wav -- -name-with-a-dash.wav

Run the same command again, after a kill too: what is done is skipped. Beside every output lies its report,
OUT.json: what was found, what was changed and where, measures before and after, model, seed, seconds.
Exit code: 0 when all is restored or was, 1 if any recording failed."""


def add_parser(commands: Any, champion: FindModel) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the command to a parser's sub-commands; `champion` finds the promoted model where none is named."""
    made = commands.add_parser(
        "restore",
        help="repair recordings: files, folders, patterns",
        description="Repair recordings. What comes back has the same samples, rate, channels, coding, tags and cover "
        "art; what needs no repair is not touched. WAV, FLAC, Ogg, MP3, M4A and what FFmpeg reads.",
        epilog=_EXAMPLES,
    )
    add = made.add_argument
    add("inputs", nargs="+", metavar="INPUT", help="recordings, folders, or patterns such as '**/*.mp3'")
    add(
        "-o",
        "--output",
        "--out",
        type=Path,
        required=True,
        metavar="OUT",
        help="a file for one recording, else a folder",
    )
    _add_model_options(made.add_argument_group("model"))
    _add_control_options(made.add_argument_group("what to do"))
    add("--delta", action="store_true", help="also write OUT.removed.wav, input minus output, exact to the bit")
    add("--spectrogram", action="store_true", help="also write OUT.png: before, after, and how sure the network is")
    add("--dry-run", action="store_true", help="say what would be done, and write nothing")
    add("--debug", action="store_true", help="show the traceback of an error")
    made.set_defaults(run=partial(run, champion=champion))


def _add_model_options(group: Any) -> None:  # noqa: ANN401
    add = group.add_argument
    add(
        "--checkpoint", "--model", metavar="PLACE",
        help="a .pt file or an export, ours or the original's (default: the champion here, else that in the box)",
    )  # fmt: skip
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: %(default)s)")
    add("--precision", default="auto", choices=("auto", "bf16", "fp16", "fp32"), help="(default: %(default)s)")
    for stream, default in (("codec", "dac-summed"), ("structure", "xcodec"), ("semantic", "audiomae")):
        add(
            f"--{stream}", metavar="NAME[:PLACE]",
            help=f"its encoder, where its weights lie elsewhere now, or the checkpoint names none (then: {default})",
        )  # fmt: skip


def _add_control_options(group: Any) -> None:  # noqa: ANN401
    add = group.add_argument
    add("--preset", default="balanced", choices=PRESETS, help="how much time to take (default: %(default)s)")
    add("--strength", type=float, default=1.0, metavar="S", help="0 copies the file, 1 repairs in full (default)")
    add("--tau", type=float, metavar="T", help="how much may be invented, 0 to 1 (default: the model's)")
    add("--steps", type=int, metavar="N", help="solver steps (default: the preset's)")
    add("--solver", choices=SOLVERS, help="(default: the preset's)")
    add("--cfg", type=float, default=1.0, metavar="G", help="guidance by both side streams, neutral at 1 (default)")
    add("--cfg-structure", type=float, default=1.0, metavar="G", help="by the structure stream alone, beyond --cfg")
    add("--cfg-semantic", type=float, default=1.0, metavar="G", help="by the semantic stream alone, beyond --cfg")
    add(
        "--cfg-interval", type=float, nargs=2, default=(0.0, 1.0), metavar=("A", "B"),
        help="guide only between these times of the flow, 0 its source and 1 its end (default: 0 1)",
    )  # fmt: skip
    add(
        "--sway",
        type=float,
        default=0.0,
        metavar="S",
        help="-1 to 1.75: below 0, more steps near the source (default: 0)",
    )
    add("--seed", type=int, default=1337, help="of the noise (default: %(default)s)")
    add("--keep-below", type=float, metavar="HZ", help="keep the input's band below this frequency")
    add("--only", type=stretch, metavar="A-B", help="repair only this stretch, such as 92.5-100 or 1:32-1:40")
    add("--channels", type=numbers, metavar="1,2", help="repair only these channels, from 1 on")
    add(
        "--without",
        type=names,
        default=(),
        metavar="A,B",
        help="leave out these exact treatments, such as hum, or the network",
    )


def stretch(text: str) -> tuple[float, float]:
    """Seconds of `A-B`, each `seconds`, `minutes:seconds` or `hours:minutes:seconds`.

    Raises:
        argparse.ArgumentTypeError: it is nothing of the kind.
    """
    try:
        begin, end = (sum(float(part) * 60**place for place, part in enumerate(reversed(one.split(":"))))
                      for one in text.split("-"))  # fmt: skip
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: expected A-B, such as 92.5-100 or 1:32-1:40") from error
    if not 0 <= begin < end < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a stretch that begins before it ends")
    return begin, end


def numbers(text: str) -> tuple[int, ...]:
    """Numbers separated by commas.

    Raises:
        argparse.ArgumentTypeError: one is none, or below 1.
    """
    try:
        found = tuple(int(one) for one in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: expected numbers such as 1,2") from error
    if min(found) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: channels count from 1")
    return found


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas."""
    return tuple(one.strip() for one in text.split(",") if one.strip())


def settings_of(arguments: argparse.Namespace) -> RestoreSettings:
    """The settings that the parsed options ask for.

    Raises:
        InvalidConfig: naming all options out of their range.
    """
    return RestoreSettings(
        preset=arguments.preset,
        steps=arguments.steps,
        solver=arguments.solver,
        tau=arguments.tau,
        cfg=arguments.cfg,
        cfg_structure=arguments.cfg_structure,
        cfg_semantic=arguments.cfg_semantic,
        cfg_interval=tuple(arguments.cfg_interval),
        sway=arguments.sway,
        seed=arguments.seed,
        strength=arguments.strength,
        keep_below_hz=arguments.keep_below,
        only_seconds=arguments.only,
        channels=arguments.channels,
        without=arguments.without,
    )


def check_left_out(without: tuple[str, ...]) -> None:
    """Refuse names of `--without` that leave nothing out.

    Raises:
        InvalidConfig: naming them.
    """
    from audiobuff_core.treatment.chain import TREATMENTS

    known = (NETWORK, *TREATMENTS)
    unknown = [name for name in without if name not in known]
    if unknown:
        raise InvalidConfig(f"--without {', '.join(unknown)}: expected any of {', '.join(known)}")


def run(arguments: argparse.Namespace, champion: FindModel) -> int:
    """Restore all inputs; 1 if any failed.

    Raises:
        AudioBuffError: no model, an option out of its range, or outputs that would overwrite each other or an input.
    """
    from audiobuff_core.commands.chosen_model import choice_of, chosen_model
    from audiobuff_core.commands.restore_files import RestoreFiles, restore_all
    from audiobuff_core.commands.restore_places import check_beside, plan_places

    settings = settings_of(arguments)
    check_left_out(settings.without)
    plan = plan_places(arguments.inputs, arguments.output)
    if arguments.delta:
        from audiobuff_core.inference.restore_file import delta_path

        check_beside(plan, delta_path)
    place = chosen_model(arguments.checkpoint, champion)
    restorer = _restorer(arguments, place)
    choice = choice_of(arguments.checkpoint, place)
    task = RestoreFiles(restorer, place, choice, settings, arguments.delta, arguments.spectrogram, arguments.dry_run)
    return restore_all(plan, task)


def _restorer(arguments: argparse.Namespace, place: str) -> Any:  # noqa: ANN401 - imported late
    from audiobuff_core.inference.opened import LEGACY_ENCODERS, open_model
    from audiobuff_core.inference.restorer import Restorer
    from audiobuff_core.precision import usable_device

    device = str(usable_device(arguments.device))
    given = {stream: getattr(arguments, stream) for stream in ("codec", "structure", "semantic")}
    encoders = {stream: name for stream, name in given.items() if name}
    opened = open_model(place, legacy_encoders=replace(LEGACY_ENCODERS, **encoders))
    return Restorer(opened, device=device, precision=arguments.precision, encoders=encoders)
