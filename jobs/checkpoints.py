"""What follows a new checkpoint: its evaluation, one run a kind of damage, then the leaderboard and the release."""

from collections.abc import Iterator

import dagster as dg

from audiobuff_core.files import exists, join, names_in, read_json
from audiobuff_core.seeding import digest
from jobs.jobs import damage_held_out_audio, evaluate_checkpoint, release_checkpoint
from resources.automation import sensor_status, tick_seconds
from resources.currency import INPUTS, PATH, Graph, data_versions, fingerprint, latest_record, recorded
from resources.partitions import CHECKPOINTS, DAMAGE_KINDS, evaluation_key
from resources.storage import Storage

CHECKPOINT = dg.AssetKey(["model", "dit_checkpoint"])
HELD_OUT = dg.AssetKey(["evaluation", "degraded"])
METRICS = dg.AssetKey(["evaluation", "metrics"])
REQUEST_TAG = "audiobuff/request"


@dg.sensor(
    minimum_interval_seconds=tick_seconds(60),
    default_status=sensor_status(),
    description=(
        "Report checkpoints that were not trained here.\n\n"
        "A finished checkpoint in `checkpoints/<name>/` under the data root, from `audiobuff train --checkpoint_dir`, "
        "another machine or a copy, becomes a materialisation of `model/dit_checkpoint`. It launches nothing itself."
    ),
)
def register_new_checkpoints(context: dg.SensorEvaluationContext, storage: Storage) -> dg.SensorResult | dg.SkipReason:
    """Events for checkpoints in the folder that the instance has no partition for."""
    known = set(context.instance.get_dynamic_partitions(_name()))
    events = []
    for name in names_in(join(storage.url, "checkpoints")):
        folder = join(storage.url, "checkpoints", name)
        if name in known or not exists(join(folder, "done.json")):  # written last: training is over
            continue
        weights = read_json(join(folder, "done.json"))["weights_sha256"]
        events.append(
            dg.AssetMaterialization(
                CHECKPOINT,
                metadata={"checkpoint": name, PATH: dg.MetadataValue.path(folder), "weights_sha256": weights},
                tags={"dagster/data_version": weights},
            )
        )
    if not events:
        return dg.SkipReason(f"No checkpoint in {join(storage.url, 'checkpoints')} but the {len(known)} known ones.")
    added = [str(event.metadata["checkpoint"].value) for event in events]
    return dg.SensorResult(asset_events=events, dynamic_partitions_requests=[CHECKPOINTS.build_add_request(added)])


@dg.asset_sensor(
    asset_key=CHECKPOINT,
    name="evaluate_new_checkpoint",
    jobs=[damage_held_out_audio, evaluate_checkpoint],
    minimum_interval_seconds=tick_seconds(30),
    default_status=sensor_status(),
    description=(
        "Evaluate every new checkpoint, one run a kind of damage.\n\n"
        "It watches `model/dit_checkpoint`, whoever materialised it, and adds the checkpoint's partition. Kinds "
        "without held-out clips get those first; `release_evaluated_checkpoint` then evaluates them."
    ),
)
def evaluate_new_checkpoint(
    context: dg.SensorEvaluationContext, event: dg.EventLogEntry, storage: Storage
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """The runs that the checkpoint of `event` needs."""
    made = event.asset_materialization
    entry = None if made is None else made.metadata.get("checkpoint")
    if entry is None or not exists(join(storage.url, "checkpoints", str(entry.value), "done.json")):
        yield dg.SkipReason(
            "The newest materialisation of model/dit_checkpoint names no finished checkpoint: expected metadata "
            "`checkpoint`, the name of a folder under checkpoints/ with done.json."
        )
        return
    checkpoint = str(entry.value)
    context.instance.add_dynamic_partitions(_name(), [checkpoint])
    requests = [*_missing_clips(context.instance), *wanted_evaluations(context.instance, _graph(context), checkpoint)]
    yield from requests
    if not requests:
        yield dg.SkipReason(f"Checkpoint {checkpoint} is evaluated on all kinds of damage already.")


@dg.sensor(
    jobs=[evaluate_checkpoint, release_checkpoint],
    minimum_interval_seconds=tick_seconds(60),
    default_status=sensor_status(),
    description=(
        "When a checkpoint is evaluated: leaderboard, candidate, check, champion.\n\n"
        "It also evaluates what held-out clips came late for, and the champion again where they changed, so that both "
        "are compared on the same ones. A candidate that is worse is not promoted: its run fails at the check "
        "`not_worse_than_champion`, which says why in numbers."
    ),
)
def release_evaluated_checkpoint(
    context: dg.SensorEvaluationContext, storage: Storage
) -> list[dg.RunRequest] | dg.SkipReason:
    """Evaluations that are still missing, or the release."""
    instance, graph = context.instance, _graph(context)
    newest = recorded(instance, CHECKPOINT, None, "checkpoint")
    if newest is None:
        return dg.SkipReason("No checkpoint yet.")
    champion = join(storage.url, "release", "champion.json")
    rivals = {newest, read_json(champion)["checkpoint"]} if exists(champion) else {newest}
    requests = [one for rival in sorted(rivals) for one in wanted_evaluations(instance, graph, rival)]
    if requests:
        return requests
    waiting = [key for rival in sorted(rivals) for key in _stale(instance, graph, rival)]
    if waiting:
        return dg.SkipReason(f"{len(waiting)} evaluations are under way or failed, such as {waiting[0]}.")
    versions = data_versions(instance, METRICS)
    measured = [[key, version] for key, version in versions.items() if key.split("|")[0] in rivals]
    mark = digest(newest, measured)[:16]
    if _was_requested(instance, mark):
        return dg.SkipReason(f"Checkpoint {newest} was proposed with the measurements that it has.")
    return [dg.RunRequest(run_key=mark, job_name=release_checkpoint.name, tags={REQUEST_TAG: mark})]


def wanted_evaluations(instance: dg.DagsterInstance, graph: Graph, checkpoint: str) -> list[dg.RunRequest]:
    """A run for each kind whose clips the checkpoint was not measured on, nor is about to be."""
    weights, clips = data_versions_of(instance, checkpoint), data_versions(instance, HELD_OUT)
    requests = []
    for key in _stale(instance, graph, checkpoint):
        mark = digest("inputs", key, weights, clips.get(key.split("|")[1]))[:16]
        if key.split("|")[1] in clips and not _was_requested(instance, mark):
            requests.append(
                dg.RunRequest(
                    run_key=mark, job_name=evaluate_checkpoint.name, partition_key=key, tags={REQUEST_TAG: mark}
                )
            )
    return requests


def data_versions_of(instance: dg.DagsterInstance, checkpoint: str) -> str | None:
    """The data version (hash of the weights) of `checkpoint`, where it is the newest; those before never change."""
    newest = recorded(instance, CHECKPOINT, None, "checkpoint")
    return recorded(instance, CHECKPOINT, None, "weights_sha256") if newest == checkpoint else None


def _stale(instance: dg.DagsterInstance, graph: Graph, checkpoint: str) -> list[str]:
    """Partitions of `evaluation/metrics` of `checkpoint` that are missing, or were measured on other clips."""
    keys = [evaluation_key(checkpoint, kind) for kind in DAMAGE_KINDS.get_partition_keys()]
    return [
        key
        for key in keys
        if latest_record(instance, METRICS, key) is None
        or recorded(instance, METRICS, key, INPUTS) != fingerprint(instance, graph, METRICS, key, {})
    ]


def _missing_clips(instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    there = data_versions(instance, HELD_OUT)
    return [
        dg.RunRequest(run_key=f"clips-{kind}", job_name=damage_held_out_audio.name, partition_key=kind)
        for kind in DAMAGE_KINDS.get_partition_keys()
        if kind not in there and not _is_under_way(instance, kind)
    ]


def _is_under_way(instance: dg.DagsterInstance, kind: str) -> bool:
    """Whether clips of `kind` are being made already: `keep_latents_current` makes them too."""
    statuses = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
    running = dg.RunsFilter(tags={"dagster/partition": kind}, statuses=statuses)
    return instance.get_runs_count(running) > 0


def _was_requested(instance: dg.DagsterInstance, mark: str) -> bool:
    """Whether a sensor asked for it before; a run that was deleted may be asked for again."""
    return instance.get_runs_count(dg.RunsFilter(tags={REQUEST_TAG: mark})) > 0


def _graph(context: dg.SensorEvaluationContext) -> Graph:
    assert context.repository_def is not None
    return context.repository_def.asset_graph


def _name() -> str:
    assert CHECKPOINTS.name is not None
    return CHECKPOINTS.name
