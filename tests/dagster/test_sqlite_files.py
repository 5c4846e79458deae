"""SQLite's logs stay open while something writes, and commits do not wait for the disk."""

from pathlib import Path

import sqlalchemy
from sqlalchemy.pool import NullPool

from audiobuff_assets.results import key
from resources.sqlite_files import commit_without_waiting, held_open


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
