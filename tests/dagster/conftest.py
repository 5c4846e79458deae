import pytest


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
