"""Checks of restorations, measurements, the candidate and repaired files."""

import dagster as dg

from audiobuff_assets.checks import Verdict, check
from audiobuff_assets.results import key, path_of
from resources.currency import data_versions
from resources.inbox import inbox_file
from resources.partitions import DAMAGE_KINDS, EVALUATIONS, INBOX_FILES, split_evaluation_key


@check("evaluation/restorations", blocking=True, partitions=EVALUATIONS)
def finite_and_same_length(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
    """Every restored clip reads back, finite, as long as the damaged one."""
    from audiobuff_core.audio.read import read_audio
    from audiobuff_core.evaluation.held_out import load_held_out
    from audiobuff_core.evaluation.restorations import load_restored

    checkpoint, kind = split_evaluation_key(context.partition_key)
    damaged = {item.track_id: item.degraded_path for item in load_held_out(root, kind).items}
    restored = {item.track_id: item.path for item in load_restored(root, checkpoint, kind).items}
    wrong = [
        name
        for name, path in restored.items()
        if name not in damaged or read_audio(path).num_samples != read_audio(damaged[name]).num_samples
    ]
    missing = sorted(set(damaged) - set(restored))
    return Verdict(not wrong and not missing, {"clips": len(restored), "wrong": wrong[:20], "missing": missing[:20]})


@check("evaluation/metrics", partitions=EVALUATIONS)
def better_than_input(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
    """On average the restored clips are nearer to the clean ones than the damaged clips were, by both metrics."""
    from audiobuff_core.evaluation.measure import load_metrics

    checkpoint, kind = split_evaluation_key(context.partition_key)
    table = load_metrics(root, checkpoint, kind)
    si_sdr_gain_db = table.restored["si_sdr_db"] - table.degraded["si_sdr_db"]
    lsd_gain_db = table.degraded["lsd_db"] - table.restored["lsd_db"]
    return Verdict(
        si_sdr_gain_db > 0 and lsd_gain_db > 0, {"si_sdr_gain_db": si_sdr_gain_db, "lsd_gain_db": lsd_gain_db}
    )


@check("evaluation/leaderboard", partitions=None)
def covers_all_degradations(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
    """Every checkpoint was tried on every kind of damage."""
    tried: dict[str, set[str]] = {}
    for found in data_versions(context.instance, key("evaluation/metrics")):
        checkpoint, kind = split_evaluation_key(found)
        tried.setdefault(checkpoint, set()).add(kind)
    kinds = set(DAMAGE_KINDS.get_partition_keys())
    missing = [f"{checkpoint} on {kind}" for checkpoint, had in sorted(tried.items()) for kind in sorted(kinds - had)]
    return Verdict(bool(tried) and not missing, {"missing": missing[:50]})


@check("model/candidate", blocking=True, partitions=None)
def not_worse_than_champion(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
    """Clip by clip, the candidate is not worse than the champion, and no kind of damage collapses."""
    from audiobuff_core.evaluation.release import compare_with_champion

    comparison = compare_with_champion(root)
    return Verdict(comparison.not_worse, {"reason": comparison.reason})


@check("model/candidate", blocking=True, partitions=None)
def no_evaluation_track_was_trained_on(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
    """No track that is measured is in any training snapshot: by the content of its samples, and by how it sounds."""
    from audiobuff_core.evaluation.leaks import find_leaks

    report = find_leaks(root)
    seen = {
        "snapshots": report.num_snapshots,
        "trained_tracks": report.num_trained,
        "evaluated_tracks": report.num_evaluated,
        "leaked_by_content": list(report.by_content[:20]),
        "leaked_by_sound": dict(list(report.by_sound.items())[:20]),
        "trained_tracks_gone": list(report.gone[:20]),
    }
    return Verdict(report.is_clean, seen)


@check("restoration/restored", blocking=True, partitions=INBOX_FILES, name="finite_and_same_length")
def restored_file(context: dg.AssetCheckExecutionContext, root: str) -> Verdict:
    """The repaired file reads back, finite, with the rate, channels and length of the dropped one."""
    from audiobuff_core.audio.read import read_audio

    damaged = read_audio(inbox_file(root, context.partition_key))
    repaired = read_audio(path_of(context, "restoration/restored", context.partition_key))
    same = damaged.samples.shape == repaired.samples.shape and damaged.sample_rate == repaired.sample_rate
    return Verdict(same, {"shape": str(repaired.samples.shape), "sample_rate": repaired.sample_rate})
