"""Run a command that the kernel kills when its parent dies: `python die_with_parent.py COMMAND [ARGUMENT ...]`.

An orphan would keep a GPU that Dagster believes free. Linux only (PR_SET_PDEATHSIG); elsewhere the command just runs.
The file is run by path and imports nothing of AudioBuff, so it costs a few milliseconds.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(command: list[str]) -> None:
    """Replace this process by `command`; the death signal survives the exec."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
        if os.getppid() == 1:  # the parent died before the line above
            raise SystemExit(1)
    os.execvp(command[0], command)  # noqa: S606 - replacing this process is the point


if __name__ == "__main__":
    main(sys.argv[1:])
