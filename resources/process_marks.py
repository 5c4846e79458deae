"""Names of processes that stay true when ids are used again."""

import psutil

PROCESS_TAG = "audiobuff/process"
"""The tag of a run that says which process executes it."""


def mark_of(pid: int) -> str:
    """Names a process for good: ids are used again."""
    return f"{pid}@{psutil.Process(pid).create_time():.2f}"


def living_process(mark: str | None) -> int | None:
    """The id of the process that `mark` names, None if it is gone."""
    if mark is None:
        return None
    pid = int(mark.partition("@")[0])
    try:
        process = psutil.Process(pid)
        lives = mark_of(pid) == mark and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return pid if lives else None
