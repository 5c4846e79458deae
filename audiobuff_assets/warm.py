"""What every run of a shard needs, imported and used once: runs are forked from a process that has it.

The run launcher in `dagster.yaml` names this module. Nothing else imports it: it takes seconds.
"""

from importlib import import_module
from tempfile import TemporaryDirectory

NEEDED = (
    "audiobuff_assets.definitions",
    "audiobuff_assets.shard_tables",
    "audiobuff_core.codecs.builtin",
    "audiobuff_core.codecs.descriptors",
    "audiobuff_core.codecs.level",
    "audiobuff_core.data.damage",
    "audiobuff_core.data.extraction",
    "audiobuff_core.data.ingest",
    "audiobuff_core.degradation.align",
    "audiobuff_core.degradation.render",
    "audiobuff_core.evaluation.figures",
    "audiobuff_core.treatment.chain",
    # What Dagster itself imports only when it executes a run, or opens an instance.
    "dagster._cli.api",
    "dagster._core.execution.execute_in_process",
    "dagster._core.execution.plan.active",
    "dagster._core.executor.in_process",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.sqlite_storage",
    "dagster._core.system_config.composite_descent",
    "dagster._core.utility_ops",
    "dagster._core.workspace.autodiscovery",
    "fsspec.implementations.chained",
    "matplotlib",
    "pyloudnorm",
    "pyroomacoustics",
    "scipy.signal",
    "scipy.io.wavfile",
    "torch",
    "upath",
    "zarr",
)

for name in NEEDED:
    import_module(name)

import dagster as dg  # noqa: E402

from audiobuff_assets.pictures import shard_picture  # noqa: E402
from resources.sqlite_files import keep_engines  # noqa: E402

shard_picture({"a figure": [0.0, 1.0]}, {})  # Pillow loads its font

with TemporaryDirectory() as folder:
    keep_engines()  # of which the scripts of Dagster's tables stay known
    with dg.DagsterInstance.local_temp(folder):
        pass
