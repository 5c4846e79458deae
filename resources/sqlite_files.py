"""Dagster's SQLite files without a wait for the disk at each of the hundreds of events of a run.

Every one of its connections is opened, commits, and closes: the last to close writes the log of the file back, and each
commit waits for the disk. Here a connection stays open meanwhile, and a commit waits only when the log is written back:
a killed process loses nothing, a power cut may lose the last moments of the history, never its consistency.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from sqlalchemy import event
from sqlalchemy.engine import Engine

INDEX = "index"


def commit_without_waiting() -> None:
    """From now on, in this process."""
    if not event.contains(Engine, "connect", _relax):
        event.listen(Engine, "connect", _relax)


@contextmanager
def held_open(instance: dg.DagsterInstance, *run_ids: str) -> Iterator[None]:
    """Keep open, within the block, the files that all runs write to and those of `run_ids`; nothing with Postgres."""
    storage = instance.event_log_storage
    with ExitStack() as held:
        if isinstance(storage, SqliteEventLogStorage):
            files = [Path(storage.path_for_shard(name)) for name in (INDEX, *run_ids)]
            for file in (files[0].parent.with_suffix(".db"), *files):  # history/runs.db, history/runs/index.db, ...
                if file.exists():
                    connection = held.enter_context(closing(sqlite3.connect(file, check_same_thread=False)))
                    connection.execute("select count(*) from sqlite_master").fetchone()  # opens the log too
        yield


def _relax(connection: Any, _: Any) -> None:  # noqa: ANN401
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=NORMAL")
