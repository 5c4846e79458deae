"""SQLite's logs stay open while something writes, and commits do not wait for the disk."""

from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from sqlalchemy.pool import NullPool
from ticks import Place

from audiobuff_assets.results import key
from resources.sqlite_files import commit_without_waiting, held_open, keep_engines


@pytest.fixture
def place(tmp_path):
    """An instance that nothing holds open."""
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        yield Place(instance, tmp_path)


def test_the_log_of_a_history_stays_while_it_is_held_and_goes_after(place):
    index = Path(place.instance.event_log_storage.path_for_shard("index"))
    log = Path(f"{index}-wal")

    def write():
        place.event("audio/incoming", "v1", "a shard")

    write()
    assert not log.exists()  # the last connection wrote it back
    with held_open(place.instance):
        write()
        assert log.stat().st_size > 0
    assert not log.exists()
    assert place.instance.get_materialized_partitions(key("audio/incoming")) == {"a shard"}


def test_commits_do_not_wait(tmp_path):
    commit_without_waiting()
    commit_without_waiting()
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'a.db'}", poolclass=NullPool)
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("PRAGMA synchronous")).scalar() == 1  # NORMAL


def test_an_engine_a_file_is_kept_and_nothing_of_it_is_open(place, tmp_path, monkeypatch):
    for module in (sqlite_event_log, sqlite_run_storage):
        monkeypatch.setattr(module, "create_engine", module.create_engine)  # put back afterwards
    keep_engines()
    made = sqlite_event_log.create_engine
    addresses = [f"sqlite:///{tmp_path / name}.db" for name in "ab"]
    first, again, other = (made(one, poolclass=NullPool) for one in (addresses[0], *addresses))
    assert first is again
    assert first is not other
    place.event("audio/incoming", "v1", "a shard")
    assert place.instance.get_materialized_partitions(key("audio/incoming")) == {"a shard"}
    assert not Path(f"{place.instance.event_log_storage.path_for_shard('index')}-wal").exists()
