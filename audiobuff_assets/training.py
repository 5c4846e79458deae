"""Groups `training`: a frozen snapshot of the latents, and the network trained on it."""

from typing import Any

import dagster as dg
from pydantic import Field

from audiobuff_assets.columns import SNAPSHOT, TRAINING_LOG, columns
from audiobuff_assets.results import OWNERS, TAGS, key, materialized, path_of, provenance
from audiobuff_core.errors import CheckpointNotFound, DataMissing
from audiobuff_core.files import exists, join, read_bytes, read_json
from resources.code_version import code_version
from resources.currency import LATENTS as LATENTS_DIGEST
from resources.currency import data_versions, latents_digest, recorded
from resources.encoder_suite import EncoderSuite
from resources.partitions import CHECKPOINTS
from resources.presets import CHAMPION, chosen_preset, chosen_processes, chosen_start
from resources.retries import RETRIES, retried
from resources.storage import Storage
from resources.trainer import Trainer

LATENTS = [key("latents/target"), key("latents/structure"), key("latents/semantic")]


@dg.asset(
    key=key("dataset/training_snapshot"),
    metadata=columns(SNAPSHOT),
    group_name="training",
    deps=LATENTS,
    kinds={"python", "json"},
    code_version=code_version("audiobuff_core.data.snapshot"),
    owners=OWNERS,
    tags=TAGS,
    retry_policy=RETRIES,
)
@retried
def training_snapshot(
    context: dg.AssetExecutionContext, encoders: EncoderSuite, storage: Storage
) -> dg.MaterializeResult[Any]:
    """What a training sees: every shard with its data version, the split, and the statistics, frozen.

    **No partitions**: it takes all shards whose three streams of latents are materialised.

    **Bytes**: `snapshots/<digest>.json`, never changed; the same latents give the same digest.

    **Guarded by** `no_leakage` and `enough_audio` (both block).
    """
    from audiobuff_assets.pictures import shard_picture
    from audiobuff_core.data.snapshot import make_snapshot

    complete = set.intersection(*(set(data_versions(context.instance, stream)) for stream in LATENTS))
    if not complete:
        raise DataMissing("No shard has all three latents, expected at least one: run the job encode_new_audio first.")
    made = make_snapshot(storage.url, sorted(complete), encoders=encoders.choice())
    items = {split: sum(item.split == split for item in made.items) for split in ("train", "validation")}
    lengths = [item.num_frames / float(made.target_rate) for item in made.items]
    return materialized(
        context,
        made,
        options=encoders.options(),
        metadata={
            "shards": len(complete),
            "left_out": ", ".join(made.left_out) or "nothing",
            LATENTS_DIGEST: latents_digest(context.instance) or "",
            **{f"items/{split}": count for split, count in items.items()},
            "audio_seconds": sum(lengths),
            "picture": shard_picture({"seconds an item": lengths}, {}),
        },
    )


class TrainingConfig(dg.Config):
    """How the network is trained."""

    profile: str = Field(
        default=chosen_preset().profile,
        description="`demo`: minutes on two cores. `test`: two steps, to try the path. `smoke`, `poc` and `full`: the "
        "whole network for one epoch, a day and weeks on GPUs.",
    )
    start_from: str = Field(
        default=chosen_start(),
        description="Weights to begin with: `champion`, the path or URL of a checkpoint, or nothing for a new network.",
    )
    seed: int = Field(default=1337, description="Changes the initial weights and every draw.")
    num_processes: int = Field(
        default=chosen_processes(), ge=1, le=64, description="Ranks on this machine, one for each GPU."
    )
    fresh_every: int = Field(
        default=0,
        ge=0,
        description="Draw the damage anew every so many epochs, beside training; 0 keeps what the snapshot has.",
    )


@dg.asset(
    key=key("model/dit_checkpoint"),
    metadata=columns(TRAINING_LOG),
    group_name="training",
    deps=[training_snapshot],
    pool="gpu",
    kinds={"pytorch"},
    code_version=code_version("audiobuff_core.training.config"),
    owners=OWNERS,
    tags=TAGS,
)
@retried
def dit_checkpoint(
    context: dg.AssetExecutionContext, config: TrainingConfig, storage: Storage, trainer: Trainer
) -> dg.MaterializeResult[Any]:
    """The restoration network: a diffusion transformer trained by flow matching, with PyTorch DDP under torchrun.

    **No partitions**: each materialisation trains on the newest snapshot and adds a partition to `checkpoints`, keyed
    by snapshot, profile and seed. A cancelled training has saved its state; materialise again and it goes on.

    **Bytes**: `checkpoints/<key>/`: resume states, `weights.safetensors` with `config.json`, `training_log.jsonl`.

    **Guarded by** `loss_is_finite` and `weights_reload` (both block), `val_loss_improved`.
    """
    from audiobuff_assets.pictures import loss_curve
    from audiobuff_core.data.snapshot import load_snapshot
    from audiobuff_core.training.cli import training_key

    snapshot_path = path_of(context, "dataset/training_snapshot")
    start = _start(storage.url, config.start_from)
    checkpoint = training_key(
        load_snapshot(snapshot_path).digest,
        profile=config.profile,
        seed=config.seed,
        num_processes=config.num_processes,
        overrides={"fresh_every": config.fresh_every},
        begun_with=start,
    )
    folder = join(storage.url, "checkpoints", checkpoint)
    reported = trainer.run(
        context,
        module="audiobuff_assets.pipes_train",
        arguments=[
            f"--snapshot={snapshot_path}",
            f"--checkpoint_dir={folder}",
            f"--profile={config.profile}",
            f"--seed={config.seed}",
            f"--fresh_every={config.fresh_every}",
            *([f"--init_from={start}"] if start else []),
        ],
        num_processes=config.num_processes,
    ).get_materialize_result(implicit_materialization=False)
    assert CHECKPOINTS.name is not None
    context.instance.add_dynamic_partitions(CHECKPOINTS.name, [checkpoint])
    own = provenance(context, path=folder, options=config.model_dump())
    weights = dg.MetadataValue.path(join(folder, "weights.safetensors"))
    picture = loss_curve(read_bytes(join(folder, "training_log.jsonl")).decode())
    return dg.MaterializeResult(
        metadata={
            **(reported.metadata or {}),
            **own,
            "checkpoint": checkpoint,
            "begun_with": start or "a new network",
            LATENTS_DIGEST: recorded(context.instance, key("dataset/training_snapshot"), None, LATENTS_DIGEST) or "",
            "weights": weights,
            "loss_curve": picture,
        },
        data_version=reported.data_version,
    )


def _start(root: str, start_from: str) -> str | None:
    """The checkpoint to begin with, None for a new network.

    Raises:
        CheckpointNotFound: it is nowhere.
    """
    if start_from == CHAMPION:
        if not exists(join(root, "release", "champion.json")):
            return None  # the first training of all
        start_from = join(root, "checkpoints", read_json(join(root, "release", "champion.json"))["checkpoint"])
    if start_from and not exists(start_from):
        raise CheckpointNotFound(f"start_from is {start_from}, where nothing is: expected a checkpoint or `champion`")
    return start_from or None
