"""How every command of `audiobuff` reads its options and explains itself."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

EXIT_WRONG_USAGE = 2


class _Help(argparse.HelpFormatter):
    """Wraps a text of one line; keeps one of several, such as examples, as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text.rstrip() if "\n" in text.strip() else super()._fill_text(text, width, indent)


class CommandParser(argparse.ArgumentParser):
    """A parser to which `--dry-run` and `--dry_run` are the same option, whichever of them was added.

    The original's commands have underscores, ours hyphens; nobody should have to know which is which.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - those of ArgumentParser
        """Make a parser with our help; see `argparse.ArgumentParser`."""
        options.setdefault("formatter_class", _Help)
        super().__init__(*arguments, **options)
        self._given: Sequence[str] = ()

    def error(self, message: str) -> NoReturn:
        """End with one line, which names the help and not all options, and exit code 2."""
        dashed = [name for name in self._given if name.startswith("-") and Path(name).is_file()]
        hint = f"; names that begin with a dash go last, after `--`: `-- {dashed[0]}`" if dashed else ""
        self.exit(EXIT_WRONG_USAGE, f"{self.prog}: error: {message}{hint}; see `{self.prog} --help`\n")

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]  # noqa: ANN401
        """As `argparse.ArgumentParser.parse_known_args`, with every option in the spelling that it was added in."""
        args = sys.argv[1:] if args is None else args
        self._given = args
        spellings = {_plain(option): option for option in self._option_string_actions}
        spelled, given = [], iter(args)
        for argument in given:
            name, equals, value = argument.partition("=")
            if argument == "--":
                spelled += [argument, *given]
            elif name.startswith("--") and name not in self._option_string_actions and _plain(name) in spellings:
                spelled.append(f"{spellings[_plain(name)]}{equals}{value}")
            else:
                spelled.append(argument)
        return super().parse_known_args(spelled, namespace)


def _plain(option: str) -> str:
    return option.replace("_", "-")
