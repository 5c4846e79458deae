"""`python -m audiobuff_core.inference.generate`: the original's command with the original's flags.

A *token* is one latent frame. Sizes are checked against the checkpoint, which knows them.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from audiobuff_core.codecs.registry import EncoderChoice
from audiobuff_core.command_parser import CommandParser
from audiobuff_core.errors import AudioBuffError, InvalidConfig
from audiobuff_core.inference.settings import SOLVERS

DAC_CODECS: Final = {"16khz": "dac-16khz-summed", "24khz": "dac-24khz-summed", "44khz": "dac-summed"}
# flag -> the original's default, which no command line repeats: the checkpoint says it
ORIGINAL_SIZES: Final = {
    "in_channels": 1024, "d_model": 1024, "n_heads": 16, "depth": 12, "xcodec_dim": 512, "mae_dim": 768,
}  # fmt: skip
LOWEST_RATE = 8_000  # below, it was meant in kilohertz
EXIT_FAILED, EXIT_INTERRUPTED = 1, 130


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = CommandParser(
        prog="python -m audiobuff_core.inference.generate",
        description="Restore one recording with one checkpoint. `audiobuff restore` takes many, and more options.",
    )
    add = made.add_argument
    add("--input", required=True, metavar="FILE", help="damaged recording")
    add("--output", required=True, metavar="FILE", help="where the restored one goes; its report beside it")
    add("--checkpoint", required=True, metavar="PLACE", help="a .pt file or an export, ours or the original's")
    add("--cfg", type=float, default=1.5, help="guidance scale of side streams, neutral at 1 (default: %(default)s)")
    add("--steps", type=int, default=32, help="solver steps (default: %(default)s)")
    add("--chunk_tokens", type=int, default=256, help="latent frames in a window (default: %(default)s)")
    add("--hop_tokens", type=int, default=128, help="latent frames between two windows (default: %(default)s)")
    add(
        "--dac_model_type",
        default="44khz",
        choices=tuple(DAC_CODECS),
        help="of a checkpoint that does not name its codec (default: %(default)s)",
    )
    add("--sample_rate", type=int, metavar="HZ", help="resample to this rate first (default: the input's own)")
    for name, original in ORIGINAL_SIZES.items():
        add(f"--{name}", type=int, metavar="N", help=f"checked against the checkpoint (the original's: {original})")
    add("--codec", metavar="NAME", help="of a checkpoint that does not name its codec, instead of DAC")
    add("--structure", default="xcodec", metavar="NAME", help="likewise, its structure encoder (default: %(default)s)")
    add("--semantic", default="audiomae", metavar="NAME", help="likewise, its semantic encoder (default: %(default)s)")
    add(
        "--cfg_interval", type=float, nargs=2, default=(0.0, 1.0), metavar=("A", "B"),
        help="guide only between these times of the flow, 0 its source and 1 its end (default: 0 1)",
    )  # fmt: skip
    add("--solver", choices=SOLVERS, default="euler", help="(default: %(default)s)")
    add(
        "--sway", type=float, default=0.0, help="-1 to 1.75: below 0, more steps near the source (default: %(default)s)"
    )
    add("--seed", type=int, default=1337, help="of the noise (default: %(default)s)")
    add("--device", default="cpu", help="auto, cpu, cuda, cuda:1 or mps (default: %(default)s)")
    add("--debug", action="store_true", help="show the traceback of an error")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Restore as `argv` says; 0, 1 after an error (one line on standard error), 130 after Ctrl-C."""
    arguments = parser().parse_args(argv)
    try:
        return run(arguments)
    except AudioBuffError as error:
        if arguments.debug:
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        return EXIT_INTERRUPTED


def run(arguments: argparse.Namespace) -> int:
    """Restore one file; 0.

    Raises:
        AudioBuffError: the checkpoint, a flag or the recording can't be used, or the output not be written.
    """
    from audiobuff_core.inference.opened import open_model
    from audiobuff_core.inference.restore_file import Extras, check_restorable, restore_file
    from audiobuff_core.inference.restorer import Restorer
    from audiobuff_core.inference.settings import RestoreSettings
    from audiobuff_core.precision import usable_device
    from audiobuff_core.progress import show_progress

    if not 0 < arguments.hop_tokens <= arguments.chunk_tokens:
        raise InvalidConfig(
            f"--hop_tokens {arguments.hop_tokens}, --chunk_tokens {arguments.chunk_tokens}: expected a hop of at least "
            "1 and at most a chunk"
        )
    if arguments.sample_rate is not None and arguments.sample_rate < LOWEST_RATE:
        raise InvalidConfig(f"--sample_rate {arguments.sample_rate}: expected hertz, {LOWEST_RATE} or more")
    check_restorable(arguments.input, arguments.output)  # before the model is read
    choice = EncoderChoice(
        codec=arguments.codec or DAC_CODECS[arguments.dac_model_type],
        structure=arguments.structure,
        semantic=arguments.semantic,
    )
    sizes = {name: getattr(arguments, name) for name in ORIGINAL_SIZES}
    opened = open_model(arguments.checkpoint, sizes=sizes, legacy_encoders=choice)
    restorer = Restorer(opened, device=str(usable_device(arguments.device)))
    with show_progress():
        report = restore_file(
            Path(arguments.input),
            Path(arguments.output),
            restorer,
            RestoreSettings(
                steps=arguments.steps,
                solver=arguments.solver,
                seed=arguments.seed,
                cfg=arguments.cfg,
                cfg_interval=tuple(arguments.cfg_interval),
                sway=arguments.sway,
            ),
            extras=Extras(model_place=arguments.checkpoint, model_choice="named"),
            window_frames=arguments.chunk_tokens,
            overlap_frames=arguments.chunk_tokens - arguments.hop_tokens,
            sample_rate=arguments.sample_rate,
        )
    print(f"Restored {arguments.input} in {report['seconds']:.1f} s: {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
