"""Groups `training`: a frozen snapshot of the latents, and the network trained on it."""

from typing import Any

import dagster as dg
from pydantic import Field

from audiobuff_assets.results import OWNERS, TAGS, key, materialized, path_of, provenance
from audiobuff_core.errors import DataMissing
from audiobuff_core.files import join, read_bytes
from resources.code_version import code_version
from resources.currency import data_versions
from resources.encoder_suite import EncoderSuite
from resources.partitions import CHECKPOINTS
from resources.storage import Storage
from resources.trainer import Trainer

LATENTS = [key("latents/target"), key("latents/structure"), key("latents/semantic")]


@dg.asset(
    key=key("dataset/training_snapshot"),
    group_name="training",
    deps=LATENTS,
    kinds={"python", "json"},
    code_version=code_version("audiobuff_core.data.snapshot"),
    owners=OWNERS,
    tags=TAGS,
)
def training_snapshot(
    context: dg.AssetExecutionContext, encoders: EncoderSuite, storage: Storage
) -> dg.MaterializeResult[Any]:
    """What a training sees: every shard with its data version, the split, and the statistics, frozen.

    **No partitions**: it takes all shards whose three streams of latents are materialised.

    **Bytes**: `snapshots/<digest>.json`, never changed; the same latents give the same digest.

    **Guarded by** `no_leakage` and `enough_audio` (both block).
    """
    from audiobuff_core.data.snapshot import make_snapshot

    complete = set.intersection(*(set(data_versions(context.instance, stream)) for stream in LATENTS))
    if not complete:
        raise DataMissing("No shard has all three latents, expected at least one: run the job encode_new_audio first.")
    made = make_snapshot(storage.url, sorted(complete), encoders=encoders.choice())
    items = {split: sum(item.split == split for item in made.items) for split in ("train", "validation")}
    return materialized(
        context,
        made,
        options=encoders.options(),
        metadata={
            "shards": len(complete),
            "left_out": ", ".join(made.left_out) or "nothing",
            **{f"items/{split}": count for split, count in items.items()},
        },
    )


class TrainingConfig(dg.Config):
    """How the network is trained."""

    profile: str = Field(
        default="demo", description="`demo`: minutes on two cores. `test`: two steps, to try the path."
    )
    seed: int = Field(default=1337, description="Changes the initial weights and every draw.")
    num_processes: int = Field(default=1, ge=1, le=64, description="Ranks on this machine, one for each GPU.")


@dg.asset(
    key=key("model/dit_checkpoint"),
    group_name="training",
    deps=[training_snapshot],
    pool="gpu",
    kinds={"pytorch"},
    code_version=code_version("audiobuff_core.training.config"),
    owners=OWNERS,
    tags=TAGS,
)
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
    checkpoint = training_key(
        load_snapshot(snapshot_path).digest,
        profile=config.profile,
        seed=config.seed,
        num_processes=config.num_processes,
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
            "weights": weights,
            "loss_curve": picture,
        },
        data_version=reported.data_version,
    )
