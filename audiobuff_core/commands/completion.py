"""`audiobuff completion SHELL`: the script by which a shell completes commands, options and files."""

import argparse
from functools import partial
from typing import Any, Final

SHELLS: Final = ("bash", "zsh", "tcsh")


def add_parser(commands: Any, whole: argparse.ArgumentParser) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the command to a parser's sub-commands; `whole` is the parser to complete."""
    made = commands.add_parser(
        "completion",
        help="print what makes a shell complete commands and options",
        description="Print a script that makes a shell complete the commands and options of audiobuff.",
        epilog="examples:\n"
        "  audiobuff completion bash > ~/.local/share/bash-completion/completions/audiobuff\n"
        "  audiobuff completion zsh > ~/.zfunc/_audiobuff       with `fpath+=~/.zfunc` before compinit in ~/.zshrc",
    )
    made.add_argument("shell", choices=SHELLS, help="the shell to complete in")
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    made.set_defaults(run=partial(run, whole=whole))


def run(arguments: argparse.Namespace, whole: argparse.ArgumentParser) -> int:
    """Print the script; 0."""
    import shtab

    _complete_files(whole)
    print(shtab.complete(whole, shell=arguments.shell))
    return 0


def _complete_files(parser: argparse.ArgumentParser) -> None:
    """Let every value that is no choice complete to files; most are, and a shell would offer nothing otherwise."""
    import shtab

    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _complete_files(command)
        elif action.nargs != 0 and action.choices is None:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
