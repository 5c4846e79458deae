"""Ending a process with everything it started.

`killpg` is not enough: torchrun gives each rank a process group of its own, and ranks outlive torchrun.
"""

import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

import psutil

STOP_SECONDS = 3.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


def descendants(pid: int) -> list[psutil.Process]:
    """The process `pid` and all that it started, children first; empty if it is gone."""
    try:
        root = psutil.Process(pid)
        return [*reversed(root.children(recursive=True)), root]
    except psutil.NoSuchProcess:
        return []


def end_tree(
    pid: int,
    *,
    grace_seconds: Sequence[float] = (30.0, 5.0, 5.0),
    interrupts: tuple[type[BaseException], ...] = (KeyboardInterrupt,),
) -> list[int]:
    """End `pid` and its descendants: SIGINT, then SIGTERM, then SIGKILL, each with its grace.

    The first grace must be longer than saving a checkpoint takes. A second interrupt (any of
    `interrupts`) while waiting goes to the next signal at once.

    Returns:
        The process ids that had to be killed.
    """
    family = {process.pid: process for process in descendants(pid)}
    killed: list[int] = []
    for number, grace in zip(SIGNALS, grace_seconds, strict=True):
        living = [process for process in family.values() if _lives(process)]
        for process in living:
            # A child may have been started since; it is reached before its parent is gone and forgets it.
            family |= {child.pid: child for child in descendants(process.pid)}
        living = [process for process in family.values() if _lives(process)]
        if not living:
            break
        if number is signal.SIGKILL:
            killed = [process.pid for process in living]
        for process in living:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        with suppress(*interrupts):
            _wait(list(family.values()), grace)
    return killed


def supervise(command: Sequence[str], *, spared: str) -> int:
    """Run `command` to its end; an interrupt, SIGTERM or SIGHUP here ends it with all that it started, within seconds.

    It is asked by one SIGINT, and what is left after three seconds, or at a second interrupt, is killed; but for
    processes with `spared` among their arguments and what those started, which are given the same time to follow.

    Returns:
        Its exit code.

    Raises:
        KeyboardInterrupt: it was ended from here.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup has it outlive the terminal
            signal.signal(number, interrupt)
    # A session of its own: Ctrl-C in the terminal is for this process alone, or it would be told twice.
    process = subprocess.Popen(list(command), start_new_session=True)
    try:
        return process.wait()
    except KeyboardInterrupt:
        family = descendants(process.pid)
        followers = {one.pid for member in family if _is_told(member, spared) for one in descendants(member.pid)}
        process.send_signal(signal.SIGINT)
        leaders = [member for member in family if member.pid not in followers]
        with suppress(KeyboardInterrupt):
            _wait(leaders, STOP_SECONDS)
        for member in leaders:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        process.wait()
        _wait([member for member in family if member.pid in followers], STOP_SECONDS)
        raise


def _is_told(process: psutil.Process, word: str) -> bool:
    try:
        return any(word in argument for argument in process.cmdline())
    except psutil.NoSuchProcess:
        return False


def _wait(processes: list[psutil.Process], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(_lives(process) for process in processes):
        time.sleep(0.05)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
