"""Checks of latents, of the training snapshot and of the network trained on it."""

import json
import math

import dagster as dg

from audiobuff_assets.checks import Verdict, check
from audiobuff_assets.results import key, path_of
from audiobuff_core.files import join, read_bytes
from resources.currency import recorded

STREAMS = ("target", "structure", "semantic")
MIN_TRAINING_SECONDS = 10.0
MIN_ROUND_TRIP_DB = 20.0


def _latents_finite(stream: str) -> dg.AssetChecksDefinition:
    def latents_finite(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
        """No latent is NaN or infinite."""
        import numpy as np

        from audiobuff_core.data.store import open_group

        group = open_group(path_of(context, f"latents/{stream}", context.partition_key))
        # As stored: codes can't be anything but finite, and need no network to be looked at.
        bad = [name for name in group.record_ids if not np.isfinite(group.read(name, 0, group.frames_of(name))).all()]
        return Verdict(not bad, {"records": len(group.record_ids), "not_finite": bad[:20]})

    return check(f"latents/{stream}", blocking=True)(latents_finite)


def _pairs_complete(stream: str) -> dg.AssetChecksDefinition:
    def pairs_complete(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
        """Every damaged track has its latents; the target stream has those of the clean one, too, equally long."""
        from audiobuff_core.data.damage import load_degraded
        from audiobuff_core.data.extraction import clean_record, damaged_record
        from audiobuff_core.data.store import open_group

        group = open_group(path_of(context, f"latents/{stream}", context.partition_key))
        frames = {name: group.frames_of(name) for name in group.record_ids}
        items = load_degraded(root, context.partition_key).items
        wrong = [name for name in (damaged_record(item.track_id, item.variant) for item in items) if name not in frames]
        if stream == "target":
            for item in items:
                clean = clean_record(item.track_id, item.variant)
                if frames.get(clean) != frames.get(damaged_record(item.track_id, item.variant)):
                    wrong.append(clean)
        return Verdict(not wrong, {"damaged_tracks": len(items), "incomplete": wrong[:20]})

    return check(f"latents/{stream}", blocking=True)(pairs_complete)


latents_finite = [_latents_finite(stream) for stream in STREAMS]
pairs_complete = [_pairs_complete(stream) for stream in STREAMS]


@check("latents/target")
def round_trip_quality(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
    """The codec gives the first clean track back at 20 dB or better: what it loses, no model can restore."""
    import numpy as np

    from audiobuff_core.audio.read import read_audio
    from audiobuff_core.audio.resample import resample
    from audiobuff_core.codecs.registry import load_codec
    from audiobuff_core.data.damage import load_degraded
    from audiobuff_core.data.extraction import clean_record
    from audiobuff_core.data.store import open_group

    items = load_degraded(root, context.partition_key).items
    if not items:
        return Verdict(True, {"round_trip_db": 0.0, "tracks": 0})
    group = open_group(path_of(context, "latents/target", context.partition_key))
    choice = recorded(context.instance, key("latents/target"), context.partition_key, "codec")
    assert choice is not None
    codec = load_codec(choice)
    item = items[0]
    clean = resample(read_audio(item.clean_path).mono().scaled(item.gain), codec.sample_rate)
    decoded = codec.decode(
        group.record(clean_record(item.track_id, item.variant), codec.from_stored), clean.num_samples
    )
    error = float(np.sum(np.square(clean.samples - decoded.samples)))
    quality_db = 10 * math.log10((float(np.sum(np.square(clean.samples))) + 1e-12) / (error + 1e-12))
    return Verdict(quality_db >= MIN_ROUND_TRIP_DB, {"round_trip_db": quality_db})


@check("dataset/training_snapshot", blocking=True, partitions=None)
def no_leakage(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
    """No recording is in two splits, and no held-out one is in any."""
    from audiobuff_core.data.library import split_of
    from audiobuff_core.data.snapshot import load_snapshot

    items = load_snapshot(path_of(context, "dataset/training_snapshot")).items
    leaked = sorted({item.track_id for item in items if item.split != split_of(item.audio_hash)})
    held_out = sorted({item.track_id for item in items if item.split == "held_out"})
    return Verdict(not leaked and not held_out, {"wrong_split": leaked[:20], "held_out": held_out[:20]})


@check("dataset/training_snapshot", blocking=True, partitions=None)
def enough_audio(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
    """There are at least 10 seconds to train on."""
    from audiobuff_core.data.snapshot import load_snapshot

    snapshot = load_snapshot(path_of(context, "dataset/training_snapshot"))
    frames = sum(item.num_frames for item in snapshot.items if item.split == "train")
    seconds = frames / float(snapshot.target_rate)
    return Verdict(seconds >= MIN_TRAINING_SECONDS, {"training_seconds": seconds})


@check("model/dit_checkpoint", blocking=True, partitions=None)
def loss_is_finite(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
    """No loss in the training log is NaN or infinite."""
    rows = _training_log(context)
    losses = [row[name] for row in rows for name in ("loss", "val_loss") if row.get(name) is not None]
    bad = sum(not math.isfinite(value) for value in losses)
    return Verdict(bool(losses) and bad == 0, {"losses": len(losses), "not_finite": bad})


@check("model/dit_checkpoint", blocking=True, partitions=None)
def weights_reload(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
    """The exported weights load into a restorer."""
    from audiobuff_core.inference.restorer import Restorer

    identity = Restorer.load(path_of(context, "model/dit_checkpoint")).identity
    return Verdict(True, {"identity": json.dumps(identity, sort_keys=True, default=str)})


@check("model/dit_checkpoint", partitions=None)
def val_loss_improved(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
    """The validation loss ended lower than it began."""
    losses = [row["val_loss"] for row in _training_log(context) if row.get("val_loss") is not None]
    seen = {"first": losses[0], "last": losses[-1]} if losses else {}
    return Verdict(len(losses) > 1 and losses[-1] < losses[0], seen)


@check("model/champion", blocking=True, partitions=None, name="weights_reload")
def champion_reloads(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
    """The champion's weights load into a restorer."""
    from audiobuff_core.evaluation.release import load_champion
    from audiobuff_core.inference.restorer import Restorer

    checkpoint = load_champion(root).checkpoint
    Restorer.load(join(root, "checkpoints", checkpoint))
    return Verdict(True, {"checkpoint": checkpoint})


def _training_log(context: dg.AssetCheckExecutionContext) -> list[dict[str, float]]:
    text = read_bytes(join(path_of(context, "model/dit_checkpoint"), "training_log.jsonl")).decode()
    return [json.loads(line) for line in text.splitlines() if line.strip()]
