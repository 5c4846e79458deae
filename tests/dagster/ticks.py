"""An instance in a folder, and ticks of sensors on it."""

import dagster as dg
import numpy as np
import soundfile

from audiobuff_assets.definitions import defs
from audiobuff_assets.results import key
from audiobuff_core.files import write_json
from resources.currency import INPUTS, fingerprint
from resources.partitions import DAMAGE_KINDS, evaluation_key
from resources.storage import Storage

KINDS = DAMAGE_KINDS.get_partition_keys()


class Place:
    """An instance with a root, and ticks on it."""

    def __init__(self, instance, folder):
        self.instance, self.root = instance, str(folder / "root")
        self.storage, self.defs = Storage(root=self.root), defs
        self.repository = defs.get_repository_def()
        self.cursors = {}

    def context(self, cursor=None):
        return dg.build_sensor_context(
            instance=self.instance,
            instance_ref=self.instance.get_ref(),
            definitions=self.defs,
            resources={"storage": self.storage},
            cursor=cursor,
        )

    def tick(self, sensor):
        context = self.context(self.cursors.get(sensor.name))
        result = sensor.evaluate_tick(context)
        self.cursors[sensor.name] = result.cursor
        for event in result.asset_events:
            self.instance.report_runless_asset_event(event)
        for request in result.dynamic_partitions_requests or ():
            self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        for request in result.run_requests or ():
            partition = {"dagster/partition": request.partition_key} if request.partition_key else {}
            self.instance.create_run_for_job(a_job, tags={**request.tags, **partition})
        return result

    def event(self, name, version, partition=None, **metadata):
        self.instance.report_runless_asset_event(
            dg.AssetMaterialization(
                key(name), partition=partition, metadata=metadata, tags={"dagster/data_version": version}
            )
        )

    def checkpoint(self, name):
        write_json(f"{self.root}/checkpoints/{name}/done.json", {"weights_sha256": f"weights of {name}"})
        self.event("model/dit_checkpoint", f"weights of {name}", checkpoint=name, weights_sha256=f"weights of {name}")

    def measure(self, checkpoint):
        for kind in KINDS:
            partition = evaluation_key(checkpoint, kind)
            mark = fingerprint(self.instance, self.repository.asset_graph, key("evaluation/metrics"), partition, {})
            self.event("evaluation/metrics", f"metrics of {partition}", partition, **{INPUTS: mark})


@dg.op
def work():
    pass


@dg.job
def a_job():
    work()


def record(path, seed):
    soundfile.write(path, np.random.default_rng(seed).uniform(-0.1, 0.1, 4000), 8000)
