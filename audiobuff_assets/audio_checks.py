"""Checks of recordings and of their planned damage."""

import math

import dagster as dg

from audiobuff_assets.checks import Verdict, check
from resources.partitions import DAMAGE_KINDS

MAX_CLIPPED_SHARE = 0.001
MIN_BANDWIDTH_HZ = 4_000.0
MAX_LEVEL_CHANGE_DB = 40.0
ROWS_RENDERED_AGAIN = 4


@check("audio/pristine", blocking=True)
def decodes_and_is_finite(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
    """Every track reads back, with finite samples and the length its manifest says."""
    from audiobuff_core.audio.read import read_audio
    from audiobuff_core.data.ingest import load_pristine

    tracks = load_pristine(root, context.partition_key).tracks
    # `read_audio` refuses what is not finite, and fails the check with the reason.
    wrong = [track.track_id for track in tracks if read_audio(track.path).num_samples != track.num_samples]
    return Verdict(not wrong, {"tracks": len(tracks), "wrong_length": wrong})


@check("audio/pristine", blocking=True)
def format_is_uniform(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
    """All tracks have one rate and one channel count."""
    from audiobuff_core.audio.read import read_shape
    from audiobuff_core.data.ingest import load_pristine

    found = [read_shape(track.path) for track in load_pristine(root, context.partition_key).tracks]
    formats = sorted({f"{one.sample_rate} Hz, {one.channels} channel(s)" for one in found})
    return Verdict(len(formats) <= 1, {"formats": formats})


@check("audio/pristine")
def not_clipped(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
    """At most 0.1 % of the samples of a track are at full scale: the model would learn clipping as clean."""
    from audiobuff_core.data.ingest import load_pristine

    tracks = load_pristine(root, context.partition_key).tracks
    clipped = [track.track_id for track in tracks if track.measures.clipped_share > MAX_CLIPPED_SHARE]
    return Verdict(not clipped, {"clipped_tracks": clipped[:20], "num_clipped": len(clipped)})


@check("audio/pristine")
def bandwidth_is_full(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
    """Most tracks reach 4 kHz; bass sounds rightly don't, so only a majority below it is suspect."""
    from audiobuff_core.data.ingest import load_pristine

    tracks = load_pristine(root, context.partition_key).tracks
    narrow = [track.track_id for track in tracks if track.measures.bandwidth_hz < MIN_BANDWIDTH_HZ]
    return Verdict(2 * len(narrow) <= len(tracks), {"narrow_tracks": narrow[:20], "num_narrow": len(narrow)})


@check("degradation/plan", blocking=True)
def parameters_in_range(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
    """Every row can be drawn again from its seed, and every parameter is there and what its kind allows."""
    from audiobuff_core.data.damage import load_planned
    from audiobuff_core.degradation.kinds import problems_of
    from audiobuff_core.degradation.plan import draw_row

    rows = load_planned(root, context.partition_key).rows
    changed = [
        row.track_id
        for row in rows
        if draw_row(row.track_id, row.audio_hash, recipe=row.recipe, seed=row.seed, variant=row.variant) != row
    ]
    outside = [
        f"{row.track_id}: {problem}"
        for row in rows
        for fault in row.faults
        for problem in problems_of(fault.kind, fault.parameters)
    ]
    return Verdict(not changed and not outside, {"rows": len(rows), "changed": changed, "outside": outside[:20]})


@check("audio/degraded", blocking=True)
def aligned_with_pristine(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
    """A damaged track has exactly the samples and the rate of its clean one."""
    from audiobuff_core.data.damage import load_degraded

    items = load_degraded(root, context.partition_key).items
    wrong = _unequal([(item.track_id, item.clean_path, item.path) for item in items])
    return Verdict(not wrong, {"damaged_tracks": len(items), "wrong": wrong})


@check("audio/degraded")
def damage_within_spec(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
    """Damage is what its row says and no other signal.

    Rows of the shard, some of them, are rendered again to the bit; and the level changes by at most 40 dB.
    """
    import numpy as np

    from audiobuff_core.audio.read import read_audio
    from audiobuff_core.data.damage import load_degraded
    from audiobuff_core.data.ingest import load_pristine
    from audiobuff_core.degradation.render import render

    items = load_degraded(root, context.partition_key).items
    far = []
    for item in items:
        levels = [float(np.sqrt(np.mean(np.square(read_audio(path).samples)))) for path in (item.clean_path, item.path)]
        if abs(20 * math.log10((levels[1] + 1e-9) / (levels[0] + 1e-9))) > MAX_LEVEL_CHANGE_DB:
            far.append(f"{item.track_id}.v{item.variant}")
    pristine = {track.track_id: track.path for track in load_pristine(root, context.partition_key).tracks}
    others = []
    for item in items[:: -(-len(items) // ROWS_RENDERED_AGAIN) or 1]:
        again = render(item.row, read_audio(pristine[item.track_id]))
        if not np.array_equal(again.samples, read_audio(item.path).samples):
            others.append(f"{item.track_id}.v{item.variant}")
    return Verdict(not far and not others, {"far_in_level": far[:20], "not_as_their_row_says": others})


@check("evaluation/degraded", blocking=True, partitions=DAMAGE_KINDS, name="aligned_with_pristine")
def held_out_aligned(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
    """A damaged clip has exactly the samples and the rate of its clean one."""
    from audiobuff_core.evaluation.held_out import load_held_out

    items = load_held_out(root, context.partition_key).items
    wrong = _unequal([(item.track_id, item.clean_path, item.degraded_path) for item in items])
    return Verdict(not wrong, {"clips": len(items), "wrong": wrong})


def _unequal(pairs: list[tuple[str, str, str]]) -> list[str]:
    from audiobuff_core.audio.read import read_shape

    return [name for name, first, second in pairs if read_shape(first) != read_shape(second)]
