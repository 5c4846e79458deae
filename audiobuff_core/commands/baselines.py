"""`audiobuff baselines DEGRADED --out DIR`: restore a folder by other people's tools, to compare with."""

import argparse
import sys
from pathlib import Path
from typing import Any

EXIT_FAILED = 1


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the command to a parser's sub-commands."""
    made = commands.add_parser(
        "baselines",
        help="restore a folder by other people's tools, to compare with",
        description="Restore every recording of a folder by each peer into OUT/<peer>, for `audiobuff evaluate "
        "--restored`, and write versions, licences and speeds to OUT/baselines.json. The operator reads what is wrong "
        "from the .json that `audiobuff degrade` left beside each recording. Needs the extra `baselines` "
        "(uv sync --extra baselines).",
        epilog="examples:\n"
        "  audiobuff baselines damaged --out peers --clean music   every peer; then audiobuff evaluate --restored ...\n"
        "  audiobuff baselines damaged --out peers --only operator,grooveclean\n"
        "  audiobuff baselines --list                              peers, their versions and licences",
    )
    made.add_argument("degraded", nargs="?", type=Path, metavar="DEGRADED", help="folder of damaged recordings")
    made.add_argument("-o", "--out", type=Path, metavar="DIR", help="folder for the results")
    made.add_argument(
        "--clean", type=Path, metavar="DIR",
        help="the clean recordings, same names: the operator keeps the best of several tools for each fault "
        "instead of the usual one",
    )  # fmt: skip
    made.add_argument("--only", metavar="A,B", help="these peers alone (--list names them)")
    made.add_argument(
        "--limit", type=float, metavar="X",
        help="seconds a second of audio that one tool may take on a recording (default: 2, and ten seconds at least); "
        "what is slower is given up there, and named",
    )  # fmt: skip
    made.add_argument("--list", action="store_true", help="print the peers, their versions and licences, nothing else")
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    made.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the peers; 1 if one could not be run, or did not restore a recording.

    Raises:
        AudioBuffError: the options make no sense, or there is nothing to restore.
    """
    from audiobuff_core.errors import InvalidConfig
    from audiobuff_core.evaluation.peers.catalogue import PEERS
    from audiobuff_core.evaluation.peers.run import DEFAULT_LIMIT, REPORT, run_peers
    from audiobuff_core.progress import show_progress

    if arguments.list:
        print(_listed())
        return 0
    if arguments.degraded is None or arguments.out is None:
        raise InvalidConfig("audiobuff baselines: expected DEGRADED and --out DIR (or --list)")
    names = [name.strip() for name in arguments.only.split(",")] if arguments.only else list(PEERS)
    with show_progress():
        found = run_peers(
            arguments.degraded, arguments.out, names=names, clean=arguments.clean,
            limit=DEFAULT_LIMIT if arguments.limit is None else arguments.limit,
        )  # fmt: skip
    for name, one in found.runs.items():
        for path, reason in one.refused.items():
            print(f"left out by {name}: {path!r}: {reason}", file=sys.stderr)
        for path, given_up in one.given_up.items():
            print(f"left out of {name}: {path!r}: {'; '.join(given_up)}", file=sys.stderr)
        print(f"{name}: {one.num_done} recordings, {one.real_time_factor:.3g} x real time")
    for name, reason in found.gaps.items():
        print(f"{name}: not run: {reason}", file=sys.stderr)
    print(f"Facts: {arguments.out / REPORT}")
    if found.runs:
        folders = f"--clean {arguments.clean or 'CLEAN'} --degraded {arguments.degraded}"
        restored = " ".join(f"--restored {name}={one.folder}" for name, one in found.runs.items())
        print(f"Compare: audiobuff evaluate {folders} {restored}")
    return EXIT_FAILED if found.gaps or any(one.refused for one in found.runs.values()) else 0


def _listed() -> str:
    from audiobuff_core.errors import PeerUnavailable
    from audiobuff_core.evaluation.peers.catalogue import PEERS

    lines = []
    for peer in PEERS.values():
        try:
            state = ", ".join(f"{package} {version}" for package, version in peer.versions().items())
        except PeerUnavailable as error:
            state = str(error)
        lines.append(f"{peer.name}: {peer.about} ({peer.licence}); {state}")
    return "\n".join(lines)
