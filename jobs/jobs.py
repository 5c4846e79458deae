"""Jobs: what a person launches. A job has one kind of partition, so the whole lineage is a chain of them."""

from typing import Any

import dagster as dg


def _assets(*names: str) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*(dg.AssetKey.from_user_string(name) for name in names))


def _job(name: str, selection: dg.AssetSelection, description: str, **options: Any) -> Any:  # noqa: ANN401
    return dg.define_asset_job(name, selection=selection, description=description, **options)


encode_new_audio = _job(
    "encode_new_audio",
    _assets(
        "audio/pristine",
        "degradation/plan",
        "audio/degraded",
        "latents/target",
        "latents/structure",
        "latents/semantic",
    ),
    "Decode a shard of recordings, damage it and encode it: everything before training. Partition: shard.",
)

train_restoration_model = _job(
    "train_restoration_model",
    _assets("dataset/training_snapshot", "model/dit_checkpoint"),
    "Freeze the latents of all shards and train the restoration network on them.",
    # dagster.yaml allows one such run at a time.
    tags={"audiobuff/train": "1"},
)

damage_held_out_audio = _job(
    "damage_held_out_audio",
    _assets("evaluation/degraded"),
    "Damage the tracks that training never sees, in one way. Partition: kind of damage.",
)

evaluate_checkpoint = _job(
    "evaluate_checkpoint",
    _assets("evaluation/restorations", "evaluation/metrics"),
    "Restore the damaged held-out clips and measure the result. Partition: checkpoint and kind of damage.",
)

refresh_leaderboard = _job(
    "refresh_leaderboard",
    _assets("evaluation/leaderboard"),
    "Compare all evaluated checkpoints and write the report.",
)

release_checkpoint = _job(
    "release_checkpoint",
    _assets("evaluation/leaderboard", "model/candidate", "model/champion"),
    "Write the leaderboard, propose the newest checkpoint and make it the champion if it is not worse.",
)

restore_inbox = _job(
    "restore_inbox",
    _assets("restoration/restored"),
    "Repair a file of the inbox with the champion. Partition: file.",
)

audit_audio = _job(
    "audit_audio",
    dg.AssetSelection.checks_for_assets(
        *(dg.AssetKey.from_user_string(name) for name in ("audio/pristine", "audio/degraded"))
    ),
    "Check a shard's audio again, changing nothing. The launchpad's tag `dagster/partition` names the shard.",
)

ALL_JOBS = (
    encode_new_audio,
    train_restoration_model,
    damage_held_out_audio,
    evaluate_checkpoint,
    refresh_leaderboard,
    release_checkpoint,
    restore_inbox,
    audit_audio,
)
