"""SQLite's logs stay open while something writes, and commits do not wait for the disk."""

from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy
from alembic.script import ScriptDirectory
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


@pytest.fixture
def engines(monkeypatch):
    """What `keep_engines` replaces is put back afterwards."""
    for module in (sqlite_event_log, sqlite_run_storage):
        monkeypatch.setattr(module, "create_engine", module.create_engine)
    monkeypatch.setattr(ScriptDirectory, "from_config", ScriptDirectory.from_config)


@pytest.mark.usefixtures("engines")
def test_an_engine_a_file_is_kept_and_nothing_of_it_is_open(place, tmp_path):
    keep_engines()
    made = sqlite_event_log.create_engine
    addresses = [f"sqlite:///{tmp_path / name}.db" for name in "ab"]
    first, again, other = (made(one, poolclass=NullPool) for one in (addresses[0], *addresses))
    assert first is again
    assert first is not other
    place.event("audio/incoming", "v1", "a shard")
    assert place.instance.get_materialized_partitions(key("audio/incoming")) == {"a shard"}
    assert not Path(f"{place.instance.event_log_storage.path_for_shard('index')}-wal").exists()


@pytest.mark.usefixtures("engines")
def test_a_run_connects_once_to_a_file_until_its_end(place):
    made = []
    log = Path(f"{place.instance.event_log_storage.path_for_shard('index')}-wal")
    keep_engines(connected=True)
    with held_open(place.instance):
        place.event("audio/incoming", "v1", "a shard")
        index = sqlite_event_log.create_engine(
            place.instance.event_log_storage.conn_string_for_shard("index"), poolclass=NullPool
        )
        sqlalchemy.event.listen(index, "connect", lambda *_: made.append(1))
        for number in range(3):
            place.event("audio/incoming", "v1", f"shard {number}")
        assert not made  # the connection of before
        with index.connect() as one, index.connect() as other:
            assert one.connection.dbapi_connection is not other.connection.dbapi_connection
        assert log.exists()
    assert not log.exists()
    assert len(place.instance.get_materialized_partitions(key("audio/incoming"))) == 4


@pytest.mark.usefixtures("engines")
def test_the_scripts_of_the_tables_of_one_kind_are_read_once(place):
    keep_engines()
    kinds = [module.get_alembic_config(module.__file__) for module in (sqlite_event_log, sqlite_run_storage)]
    heads = [ScriptDirectory.from_config(kind).get_current_head() for kind in kinds]
    assert ScriptDirectory.from_config(kinds[0]) is ScriptDirectory.from_config(kinds[0])
    assert ScriptDirectory.from_config(kinds[0]) is not ScriptDirectory.from_config(kinds[1])
    assert place.instance.event_log_storage.alembic_version() == (heads[0], heads[0])
    assert place.instance.run_storage.alembic_version() == (heads[1], heads[1])
