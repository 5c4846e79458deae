"""Runs the jobs that the browser shows, in this process, skipping what is current."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import dagster as dg

from audiobuff_assets.options import DemoOptions
from audiobuff_core.progress import show_progress
from audiobuff_core.progress import track as moving
from resources.currency import Graph, is_current
from resources.instance import process_tags


class Runner:
    """Runs jobs by name on an instance.

    Attributes:
        seconds: how long each stage took, by job; stages that were current are not in it.
    """

    def __init__(self, instance: dg.DagsterInstance, definitions: dg.Definitions, options: DemoOptions) -> None:
        self.instance = instance
        self.seconds: dict[str, float] = {}
        self._definitions = definitions
        self._options = options

    @cached_property
    def graph(self) -> Graph:
        """The lineage."""
        return self._definitions.resolve_asset_graph()

    def stage(self, name: str, title: str, partitions: Sequence[str | None], *, bars: bool = True) -> None:
        """Run job `name` on those of `partitions` that are not current.

        `bars` is False where the job's own process draws on the terminal.
        """
        job = self._definitions.resolve_job_def(name)
        begin = time.perf_counter()
        waiting = [partition for partition in partitions if not self._current(job, partition)]
        if not waiting:
            print(f"{title}: nothing changed")
            return
        if bars:
            with _one_bar(title, waiting) as moved:
                for partition in moved:
                    self._run(job, partition)
        else:
            print(title)
            for partition in waiting:
                self._run(job, partition)
        self.seconds[name] = round(time.perf_counter() - begin, 2)

    def _current(self, job: dg.JobDefinition, partition: str | None) -> bool:
        return all(
            is_current(self.instance, self.graph, asset, partition, self._options.fingerprint_options(asset))
            for asset in job.asset_layer.selected_asset_keys
        )

    def _run(self, job: dg.JobDefinition, partition: str | None) -> None:
        assets = job.asset_layer.selected_asset_keys
        configs = {asset: config for asset, config in self._options.configs().items() if asset in assets}
        settings: dict[str, Any] = {
            "ops": {"__".join(asset.path): {"config": config.model_dump()} for asset, config in configs.items()},
            "loggers": {"console": {"config": {"log_level": "DEBUG" if self._options.debug else "CRITICAL"}}},
        }
        if "encoders" in job.required_resource_keys:
            settings["resources"] = {"encoders": {"config": self._options.encoders.options()}}
        try:
            job.execute_in_process(
                run_config=settings, instance=self.instance, partition_key=partition, tags=process_tags()
            )
        except dg.Failure as failure:  # made of an error of ours so that Dagster doesn't try again
            raise failure.__cause__ or failure from None


@contextmanager
def _one_bar(title: str, partitions: Sequence[str | None]) -> Iterator[Iterator[str | None]]:
    """A bar over `partitions`; the bars of the work inside are removed when each is done."""
    with show_progress() as bars:

        def moved() -> Iterator[str | None]:
            for partition in moving(partitions, title):
                kept = set(bars.task_ids)
                yield partition
                for task in set(bars.task_ids) - kept:
                    bars.remove_task(task)

        yield moved()
