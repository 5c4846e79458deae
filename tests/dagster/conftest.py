import dagster as dg
import pytest
from ticks import Place

from resources.sqlite_files import commit_without_waiting, held_open, keep_engines


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/dagster/" in str(item.path):
            # Dagster's own Pipes uses what Dagster deprecates and what it calls a preview.
            item.add_marker(pytest.mark.filterwarnings("ignore:.*is currently in preview"))
            item.add_marker(pytest.mark.filterwarnings("ignore:.*AssetExecutionContext:DeprecationWarning"))
            # It makes such tags itself, for partitions of two kinds.
            item.add_marker(
                pytest.mark.filterwarnings("ignore:Non-compliant tag keys like .'dagster:DeprecationWarning")
            )


@pytest.fixture
def place(tmp_path, monkeypatch):
    for name in ("AUDIOBUFF_INCOMING", "AUDIOBUFF_INBOX", "AUDIOBUFF_SETTLE_SECONDS", "AUDIOBUFF_WEBHOOK"):
        monkeypatch.delenv(name, raising=False)
    commit_without_waiting()  # as the processes of Dagster do
    keep_engines()
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance, held_open(instance):
        yield Place(instance, tmp_path)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    made = tmp_path / "recordings"
    made.mkdir()
    monkeypatch.setenv("AUDIOBUFF_INCOMING", str(made))
    monkeypatch.setenv("AUDIOBUFF_SETTLE_SECONDS", "0")
    return made
