"""The command `audiobuff`: `demo` runs the main job, `dev` opens it in the browser, others work on files."""

import argparse
import os
import select
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audiobuff_assets import champion
from audiobuff_core import __version__
from audiobuff_core.command_parser import EXIT_WRONG_USAGE, CommandParser
from audiobuff_core.commands import (
    audit,
    baselines,
    completion,
    degrade,
    doctor,
    evaluate,
    export_checkpoint,
    fetch_weights,
    finetune,
    import_cache,
    inspect_checkpoint,
    listen,
    prepare,
    restore,
    revert,
    serve,
    train,
)
from audiobuff_core.errors import AudioBuffError

EXIT_FAILED, EXIT_INTERRUPTED, EXIT_UNREAD = 1, 130, 141
_EXAMPLES = """examples:
  audiobuff restore interview.wav -o repaired.wav        repair a recording; -o FOLDER for many
  audiobuff demo                                         train a small model, restore and measure, in minutes
  audiobuff dev                                          open the lineage of all data in the browser
  audiobuff degrade song.flac worse.flac --kinds hum     damage a recording on purpose
  audiobuff prepare --source_dir music --codec builtin --structure builtin --semantic builtin
  audiobuff train --profile smoke                        ... and train on it
  audiobuff evaluate --clean music --degraded damaged --restored mine=repaired
  audiobuff COMMAND --help                               options and more examples

exit codes: 0 all done; 1 something failed, and one line says what and what to do; 2 wrong usage;
            3 training was stopped and saved, run it again to go on; 130 Ctrl-C"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = CommandParser(
        prog="audiobuff",
        description="Restore damaged audio, and train, measure and trace the models that do it.",
        epilog=_EXAMPLES,
    )
    made.add_argument("--version", action="version", version=f"audiobuff {__version__}")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    restore.add_parser(commands, champion.champion_place)
    serve.add_parser(commands, champion.champion_place)
    audit.add_parser(commands)
    revert.add_parser(commands)
    _add_demo(commands)
    _add_dev(commands)
    for command in (
        degrade,
        evaluate,
        baselines,
        listen,
        prepare,
        train,
        finetune,
        inspect_checkpoint,
        export_checkpoint,
        import_cache,
        fetch_weights,
        doctor,
    ):
        command.add_parser(commands)
    champion.add_parser(commands)
    completion.add_parser(commands, made)
    return made


def _add_demo(commands: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    demo = commands.add_parser(
        "demo",
        help="run the whole lineage on the bundled recordings, in minutes",
        description="Damage, encode, train, restore and measure, through Dagster, on the bundled recordings. "
        "Run again it redoes nothing that is current. With --input it repairs your own file by the demo's model.",
        epilog="examples:\n"
        "  audiobuff demo                                        all of it; report in audiobuff_demo/report.html\n"
        "  audiobuff demo --out trial --seed 7                   in one folder, with other draws\n"
        "  audiobuff demo --input damaged.wav --output repaired.wav",
    )
    demo.add_argument(
        "--out", type=Path, metavar="DIR", help="put everything in DIR (default: ./audiobuff_demo and ./.dagster)"
    )
    demo.add_argument("--seed", type=int, default=1337, help="changes every draw (default: %(default)s)")
    for stream in ("codec", "structure", "semantic"):
        demo.add_argument(
            f"--{stream}", default="builtin", metavar="NAME", help=f"{stream} encoder (default: %(default)s)"
        )
    demo.add_argument(
        "--profile", default="demo", choices=("demo", "test"), help="test: a training of seconds, to try the path"
    )
    demo.add_argument("--input", type=Path, metavar="FILE", help="repair this recording")
    demo.add_argument("--output", type=Path, metavar="FILE", help="where the repaired recording goes")
    demo.add_argument("--debug", action="store_true", help="show Dagster's log, and the traceback of an error")
    demo.set_defaults(run=_demo)


def _add_dev(commands: Any) -> None:  # noqa: ANN401
    dev = commands.add_parser(
        "dev",
        help="open the lineage in the browser",
        description="Run `dagster dev` on the demo's instance, or on another one.",
        epilog="examples:\n"
        "  audiobuff dev                                         then open http://127.0.0.1:3000\n"
        "  AUDIOBUFF_INCOMING=~/music audiobuff dev --home mine  your own recordings, in an instance of their own",
    )
    dev.add_argument(
        "--home", type=Path, default=Path(".dagster"), metavar="DIR", help="Dagster home (default: %(default)s)"
    )
    dev.add_argument("--port", type=int, default=3000, help="of the web server (default: %(default)s)")
    dev.add_argument("--debug", action="store_true", help="show the traceback of an error")
    dev.set_defaults(run=_dev)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code, as the help of `audiobuff` lists them, or 141 where nobody reads on."""
    try:
        return _main(argv)
    finally:
        if _is_unread():
            raise SystemExit(EXIT_UNREAD)


def _main(argv: Sequence[str] | None) -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    if not given:
        parser().print_help(sys.stderr)
        return EXIT_WRONG_USAGE
    arguments = parser().parse_args(given)
    debug: bool = arguments.debug
    if not debug:
        warnings.simplefilter("ignore")  # Dagster's notes on parameters in beta are not for a user
    # Threads that wait must sleep: spinning ones make small work many times slower where cores are shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        return int(arguments.run(arguments))
    except BaseException as error:  # Dagster's interrupt is no Exception
        if isinstance(error, BrokenPipeError) and _is_unread():
            return EXIT_UNREAD
        if debug or isinstance(error, SystemExit):
            raise
        if _is_interrupt(error):
            print("\nInterrupted. Run the same command again: it goes on from what is finished.", file=sys.stderr)
            return EXIT_INTERRUPTED
        print(f"error: {_one_line(error)}", file=sys.stderr)
        return EXIT_FAILED


def _is_unread() -> bool:
    """Whether who read the output, such as `head`, has gone; then the rest of it goes nowhere."""
    try:
        sys.stdout.flush()
        if not isinstance(sys.exception(), BrokenPipeError):
            return False
        poll = select.poll()  # not all that breaks is the output: it may be a pipe of our own
        poll.register(sys.stdout.fileno(), 0)
        if not poll.poll(0):
            return False
    except BrokenPipeError:
        pass
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def _demo(arguments: argparse.Namespace) -> int:
    if (arguments.input is None) != (arguments.output is None):
        parser().error("--input and --output go together")
    if arguments.input is not None:
        from audiobuff_core.inference.restore_file import check_restorable

        check_restorable(arguments.input, arguments.output)  # before anything slow
    from audiobuff_assets.options import DemoOptions

    options = DemoOptions(
        out=arguments.out,
        seed=arguments.seed,
        codec=arguments.codec,
        structure=arguments.structure,
        semantic=arguments.semantic,
        profile=arguments.profile,
        debug=arguments.debug,
    )
    options.check()
    if arguments.input is not None:
        from audiobuff_assets.repair import repair

        repair(arguments.input, arguments.output, options)
        return 0
    from audiobuff_assets.demo import run_demo
    from audiobuff_assets.ending import print_ending

    print_ending(run_demo(options), options)
    return 0


def _dev(arguments: argparse.Namespace) -> int:
    from audiobuff_assets.dev import run_dev

    return run_dev(arguments.home, arguments.port)


def _is_interrupt(error: BaseException) -> bool:
    from dagster import DagsterExecutionInterruptedError

    return isinstance(error, KeyboardInterrupt | DagsterExecutionInterruptedError)


def _one_line(error: BaseException) -> str:
    """The error in one line; one that was not foreseen says its type and how to learn more."""
    text = " ".join(str(error).split())
    if isinstance(error, AudioBuffError):
        return text
    if type(error).__name__ == "DagsterAssetCheckFailedError":
        return f"{text}. `audiobuff dev` shows what the check saw; what it guards was not used."
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"{error.filename} is gone: an earlier step had written it. Run the same command again."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename or 'unnamed file'}. Free space or choose another place."
    return f"{type(error).__name__}: {text[:300]}. Run again with --debug to see where."


if __name__ == "__main__":
    sys.exit(main())
