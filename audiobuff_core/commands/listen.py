"""`audiobuff listen DIR`: a blind page to rate and tell apart what systems made of damaged recordings."""

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiobuff_core.evaluation.pairs import Item

FOLDER = "listening"
_EXAMPLES = """examples:
  audiobuff listen report                                what `audiobuff evaluate --out report` compared
  audiobuff listen report --listener anna --items 10     another listener, who hears all in another order
  audiobuff listen page --clean music --degraded damaged --restored ours=repaired --restored theirs=other
  audiobuff evaluate ... --listening report/listening    the answers, as figures of the table

The page needs no server and no mouse. It saves NAME.results.json: put that beside NAME.key.json, which says what
each sound was; do not look into that before."""


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the command to a parser's sub-commands."""
    made = commands.add_parser(
        "listen",
        help="make a blind page to rate restorations by ear",
        description="Write DIR/listening/NAME.html: ratings of 0 to 100 with a hidden reference and a low anchor "
        "(after ITU-R BS.1534) and A/B/X, all sounds equally loud, in an order drawn from seed and listener.",
        epilog=_EXAMPLES,
    )
    add = made.add_argument
    add("folder", type=Path, metavar="DIR", help="of an evaluation, or any with the folders named below")
    add("--clean", type=Path, metavar="DIR", help="folder with the undamaged recordings")
    add("--degraded", type=Path, metavar="DIR", help="folder with the damaged ones")
    add(
        "--restored", action="append", default=[], metavar="NAME=DIR",
        help="folder with what a system made of them; again for each system",
    )  # fmt: skip
    add("--listener", default="listener", metavar="NAME", help="who listens (default: %(default)s)")
    add("--items", type=int, default=6, metavar="N", help="recordings to rate (default: %(default)s)")
    add("--abx", type=int, default=2, metavar="N", help="of these for A/B/X, each version (default: %(default)s)")
    add("--seconds", type=float, default=5.0, metavar="S", help="heard of each, the loudest (default: %(default)s)")
    add("--seed", type=int, default=1337, help="of choice and order (default: %(default)s)")
    add("--debug", action="store_true", help="show the traceback of an error")
    made.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the page and its key.

    Raises:
        AudioBuffError: the options make no sense, or there is nothing to listen to.
    """
    from audiobuff_core.errors import InvalidConfig
    from audiobuff_core.evaluation.listening.page import render_listening
    from audiobuff_core.evaluation.listening.results import KEY, RESULTS
    from audiobuff_core.evaluation.listening.session import make_session
    from audiobuff_core.files import require_writable, write_bytes, write_json
    from audiobuff_core.progress import show_progress

    name = str(arguments.listener)
    if not re.fullmatch(r"[\w-]{1,64}", name):
        raise InvalidConfig(f"--listener {name!r}: expected letters, digits, _ and -, as files are named after it")
    items = _items(arguments)
    page = arguments.folder / FOLDER / f"{name}.html"
    require_writable(page)
    with show_progress():
        session = make_session(
            items, listener=name, seed=arguments.seed, num_items=arguments.items, num_abx_items=arguments.abx,
            seconds=arguments.seconds,
        )  # fmt: skip
    write_bytes(page, render_listening(session).encode())
    write_json(page.with_name(f"{name}{KEY}"), session.key())
    print(f"{len(session.ratings)} recordings to rate, {len(session.abx)} pairs to tell apart: open {page}")
    print(f"Put the {name}{RESULTS} that it saves beside it, then: audiobuff evaluate ... --listening {page.parent}")
    return 0


def _items(arguments: argparse.Namespace) -> "list[Item]":
    """The items of the folders that were named, or of the evaluation in DIR."""
    from audiobuff_core.errors import DataMissing, InvalidConfig
    from audiobuff_core.evaluation.pairs import FLOOR, Item, System, pair_files
    from audiobuff_core.files import exists, read_json

    if arguments.clean or arguments.degraded or arguments.restored:
        named = [text.partition("=") for text in arguments.restored]
        if not (arguments.clean and arguments.degraded and named) or not all(
            name and place for name, _, place in named
        ):
            raise InvalidConfig(
                "audiobuff listen: expected --clean DIR, --degraded DIR and --restored NAME=DIR together"
            )
        systems = [System(name, Path(place)) for name, _, place in named]
        items, problems = pair_files(arguments.clean, arguments.degraded, systems)
        for problem in problems:
            print(problem, file=sys.stderr)
        return items
    place = arguments.folder / "evaluation.json"
    if not exists(place):
        raise DataMissing(
            f"No {place}: expected the folder of an evaluation; run audiobuff evaluate --out {arguments.folder} first"
        )
    try:
        found = [one for one in read_json(place)["items"] if not one["left_out"]]
        files = [{row: Path(path) for row, path in one["files"].items()} for one in found]
    except (KeyError, TypeError) as error:
        raise DataMissing(
            f"{place} is no evaluation with the files of its items: run audiobuff evaluate again"
        ) from error
    return [
        Item(one["name"], paths.pop("clean"), paths.pop(FLOOR), paths, kinds=tuple(one["kinds"]))
        for one, paths in zip(found, files, strict=True)
    ]
