"""Dagster's SQLite files without a wait for the disk at each of the hundreds of events of a run.

Every one of its connections is opened, commits, and closes: the last to close writes the log of the file back, and each
commit waits for the disk. Here a connection stays open meanwhile, and a commit waits only when the log is written back:
a killed process loses nothing, a power cut may lose the last moments of the history, never its consistency. And each
connection has an engine of its own in Dagster, which compiles every statement anew: here they are kept, and in a run,
which ends soon, their connections too. Nor are the hundred scripts of all versions of its tables read for each file.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import dagster as dg
from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import NullPool, QueuePool

INDEX = "index"
MAX_ENGINES = 16
_CONNECTED: dict[str, Engine] = {}
_SCRIPTS: dict[str, ScriptDirectory] = {}
_read_scripts = ScriptDirectory.from_config


def commit_without_waiting() -> None:
    """From now on, in this process."""
    if not event.contains(Engine, "connect", _relax):
        event.listen(Engine, "connect", _relax)


def keep_engines(*, connected: bool = False) -> None:
    """Let Dagster connect through one engine a file, from now on, in this process; `connected`: until `held_open`."""
    for module in (sqlite_event_log, sqlite_run_storage):
        vars(module)["create_engine"] = _connected_engine if connected else _engine
    ScriptDirectory.from_config = _scripts  # type: ignore[method-assign]


@contextmanager
def held_open(instance: dg.DagsterInstance, *run_ids: str) -> Iterator[None]:
    """Keep open, within the block, the files that all runs write to and those of `run_ids`; nothing with Postgres."""
    storage = instance.event_log_storage
    with ExitStack() as held:
        held.callback(_disconnect)
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


def _engine(address: str, *, poolclass: type[NullPool], connect_args: dict[str, Any] | None = None) -> Engine:
    assert poolclass is NullPool  # nothing of an engine stays open between two uses
    return _kept(address, tuple(sorted((connect_args or {}).items())))


@lru_cache(MAX_ENGINES)
def _kept(address: str, arguments: tuple[tuple[str, Any], ...]) -> Engine:
    return create_engine(address, poolclass=NullPool, connect_args=dict(arguments))


def _connected_engine(address: str, *, poolclass: type[NullPool], connect_args: dict[str, Any] | None = None) -> Engine:
    if address not in _CONNECTED:
        made = create_engine(address, poolclass=QueuePool, max_overflow=-1, connect_args=connect_args or {})
        made.dispose = lambda close=True: None  # type: ignore[method-assign]  # Dagster disposes of it after each use
        _CONNECTED[address] = made
    return _CONNECTED[address]


def _disconnect() -> None:
    while _CONNECTED:
        Engine.dispose(_CONNECTED.popitem()[1])


def _scripts(config: Config) -> ScriptDirectory:
    name = str(config.config_file_name)
    if name not in _SCRIPTS:
        _SCRIPTS[name] = _read_scripts(config)
    return _SCRIPTS[name]
