"""`audiobuff serve`: repair recordings on a web page."""

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiobuff_core.commands.restore import FindModel
from audiobuff_core.errors import InvalidConfig

if TYPE_CHECKING:
    from audiobuff_core.web.limits import Limits

LARGEST_PORT = 65_535
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def add_parser(commands: Any, champion: FindModel) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the command to a parser's sub-commands; `champion` finds the promoted model where none is named."""
    made = commands.add_parser(
        "serve",
        help="repair recordings on a web page",
        description="Show a page on which recordings are repaired: drop a file, hear before, after and the difference, "
        "fetch the result. One recording is repaired at a time, the others wait. Uploads are deleted as soon as they "
        "are repaired, results after a while, everything when the server ends. Only this machine can open the page, "
        "unless --host says otherwise; there are no passwords.",
        epilog="examples:\n"
        "  audiobuff serve                                       then open http://127.0.0.1:8765\n"
        "  audiobuff serve --host 0.0.0.0 --max-minutes 5        for all who can reach this machine",
    )
    add = made.add_argument
    add("--host", default="127.0.0.1", help="address to listen at (default: %(default)s, this machine alone)")
    add("--port", type=int, default=8765, help="0 takes a free one (default: %(default)s)")
    add(
        "--checkpoint", "--model", metavar="PLACE",
        help="a .pt file or an export, ours or the original's (default: the champion here, else that in the box)",
    )  # fmt: skip
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: %(default)s)")
    add("--max-mb", type=float, default=200.0, metavar="MB", help="size of a recording (default: %(default)g)")
    add("--max-minutes", type=float, default=20.0, metavar="MIN", help="its length (default: %(default)g)")
    add("--max-waiting", type=int, default=16, metavar="N", help="recordings in the queue (default: %(default)s)")
    add(
        "--keep-minutes", type=float, default=30.0, metavar="MIN",
        help="how long a result can be fetched (default: %(default)g)",
    )  # fmt: skip
    add("--debug", action="store_true", help="show the traceback of an error, and every request")
    made.set_defaults(run=partial(run, champion=champion))


def run(arguments: argparse.Namespace, champion: FindModel) -> int:
    """Serve until Ctrl-C; 0.

    Raises:
        AudioBuffError: no model, a limit that makes no sense, or an address that can't be listened at.
    """
    import tempfile

    from audiobuff_core.commands.chosen_model import CHOICES, choice_of, chosen_model, model_in_words
    from audiobuff_core.inference.restorer import Restorer
    from audiobuff_core.precision import usable_device
    from audiobuff_core.web.app import make_app
    from audiobuff_core.web.jobs import Job, JobQueue
    from audiobuff_core.web.repair import repair

    limits = _limits(arguments)
    place = chosen_model(arguments.checkpoint, champion)
    choice = choice_of(arguments.checkpoint, place)
    restorer = Restorer.load(place, device=str(usable_device(arguments.device)))

    def work(job: Job) -> None:
        repair(job, restorer, place, choice)

    with _listening(arguments.host, arguments.port) as (listener, address):
        queue = JobQueue(Path(tempfile.mkdtemp(prefix="audiobuff-")), work, limits)
        hosts = [*LOOPBACK, "[::1]", arguments.host] if arguments.host in LOOPBACK else ["*"]
        profile = restorer.meta["profile"]
        app = make_app(queue, limits, f"{CHOICES[choice]}, profile {profile}", hosts)
        print(model_in_words(place, choice, profile))
        print(f"Open {address} in a browser; Ctrl-C ends it and deletes all recordings.", flush=True)
        if arguments.host not in LOOPBACK:
            print("Everyone who can reach this machine can open it.", flush=True)
        try:
            _serve(app, listener, debug=arguments.debug)
        finally:
            queue.close()
    return 0


def _limits(arguments: argparse.Namespace) -> "Limits":
    from audiobuff_core.web.limits import Limits

    return Limits(
        max_megabytes=arguments.max_mb,
        max_minutes=arguments.max_minutes,
        most_waiting=arguments.max_waiting,
        keep_minutes=arguments.keep_minutes,
    )


def _listening(host: str, port: int) -> Any:  # noqa: ANN401 - a context manager of a socket and an address
    import contextlib
    import socket

    if not 0 <= port <= LARGEST_PORT:
        raise InvalidConfig(f"--port {port}: expected 0 to {LARGEST_PORT}")

    @contextlib.contextmanager
    def listening() -> Any:  # noqa: ANN401
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            listener = socket.create_server((host, port), family=family)
        except OSError as error:
            reason = error.strerror or error
            raise InvalidConfig(f"Can't listen at {host}:{port} ({reason}): choose another --host or --port") from error
        with listener:
            name = f"[{host}]" if ":" in host else host
            yield listener, f"http://{name}:{listener.getsockname()[1]}"

    return listening()


def _serve(app: Any, listener: Any, *, debug: bool) -> None:  # noqa: ANN401
    import uvicorn

    level = "info" if debug else "warning"
    config = uvicorn.Config(app, log_level=level, access_log=debug, server_header=False, timeout_graceful_shutdown=3)
    uvicorn.Server(config).run(sockets=[listener])
