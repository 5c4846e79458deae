"""`audiobuff audit RESTORED`: hear what was repaired."""

import argparse
from pathlib import Path
from typing import Any

from audiobuff_core.errors import InvalidConfig


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the command to a parser's sub-commands."""
    made = commands.add_parser(
        "audit",
        help="hear and see the repairs that changed a recording most",
        description="Cut the repairs that changed a restored recording most into short pairs, before and after, and "
        "make a page to hear and see them. `audiobuff revert` puts back what you do not like.",
        epilog="examples:\n"
        "  audiobuff audit repaired.wav                          then open repaired.wav.audit/index.html\n"
        "  audiobuff audit repaired.wav --top 5 -o five",
    )
    add = made.add_argument
    add("restored", type=Path, metavar="RESTORED", help="what `audiobuff restore` wrote")
    add(
        "-o", "--output", "--out", type=Path, metavar="DIR",
        help="where sounds and page go (default: RESTORED.audit)",
    )  # fmt: skip
    add("--top", type=int, default=20, metavar="N", help="how many repairs at most (default: %(default)s)")
    add("--input", type=Path, metavar="FILE", help="where the input lies now, if it was moved")
    add("--debug", action="store_true", help="show the traceback of an error")
    made.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write sounds and page; 0.

    Raises:
        AudioBuffError: restored file, report or input are not there or not what they were; the place can't be written.
    """
    from audiobuff_core.commands.audit_page import write_audit
    from audiobuff_core.commands.restored_pair import read_pair

    if arguments.top < 1:
        raise InvalidConfig(f"--top {arguments.top}: expected at least 1")
    restored: Path = arguments.restored
    folder = arguments.output or restored.with_name(f"{restored.name}.audit")
    pair = read_pair(restored, arguments.input)
    page, count = write_audit(pair, restored, folder, arguments.top)
    print(f"{count} of {len(pair.report['repairs'])} repair(s) to hear: open {page}")
    return 0
