"""From a candidate to the champion: the network that repairs what users bring changes only for one not worse."""

from collections.abc import Mapping
from dataclasses import dataclass

from audiobuff_core.errors import CheckpointNotFound, DataMissing, InvalidCheckpoint
from audiobuff_core.evaluation.bootstrap import Interval, mean_interval
from audiobuff_core.evaluation.held_out import EVALUATION_KINDS
from audiobuff_core.evaluation.measure import load_metrics
from audiobuff_core.evaluation.pointers import Pointer, has_pointer, read_pointer, remember, write_pointer
from audiobuff_core.evaluation.reigns import withdrawn_weights
from audiobuff_core.evaluation.table import METRICS, SIGNS, MetricTable
from audiobuff_core.evaluation.verdict import metric_name, number
from audiobuff_core.files import exists, join, read_json
from audiobuff_core.seeding import digest

# Raise it when the same measurements would lead to another decision.
CODE_VERSION = "3"

BOOTSTRAP_SEED = 1337
# A kind that falls by more than this on average has collapsed, if all of the interval of the fall is below zero.
COLLAPSE_DB = 3.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Candidate against champion on the clips that both restored.

    Attributes:
        not_worse: whether the candidate may take the champion's place.
        reason: why, in a sentence.
        candidate: its key.
        champion: its key, None where there is none yet.
        overall: metric to the candidate's paired gain over the champion, over all clips.
        by_kind: kind to metric to that gain.
    """

    not_worse: bool
    reason: str
    candidate: str
    champion: str | None
    overall: Mapping[str, Interval]
    by_kind: Mapping[str, Mapping[str, Interval]]


def propose_candidate(root: str, checkpoint_key: str) -> Pointer:
    """Name `checkpoint_key` the candidate, with its measurements.

    Raises:
        CheckpointNotFound: it has no exported weights.
        DataMissing: it was never measured.
    """
    done = join(root, "checkpoints", checkpoint_key, "done.json")
    if not exists(done):
        raise CheckpointNotFound(f"No finished training at {done}: train checkpoint {checkpoint_key} to its end first")
    tables = _tables(root, checkpoint_key)
    if not tables:
        raise DataMissing(f"Checkpoint {checkpoint_key} was never measured at {root}: materialise evaluation/metrics")
    content = {
        "checkpoint": checkpoint_key,
        "weights_sha256": read_json(done)["weights_sha256"],
        "metrics": {kind: table.digest for kind, table in tables.items()},
    }
    return write_pointer(root, "candidate", content)


def load_candidate(root: str) -> Pointer:
    """The candidate that `propose_candidate` named.

    Raises:
        DataMissing: there is none.
    """
    return read_pointer(root, "candidate")


def load_champion(root: str) -> Pointer:
    """The champion that `promote` named.

    Raises:
        DataMissing: there is none.
    """
    return read_pointer(root, "champion")


def compare_with_champion(root: str) -> Comparison:
    """Clip by clip, the candidate against the champion; the first candidate has none to beat.

    Worse means: over all clips the interval of a metric's gain lies below zero, or one kind collapsed, that is fell by
    more than 3 dB on average while the interval of its paired gain lies below zero: one clip of many that fell far is
    no collapse. What was rolled back, or was not measured on every kind that the champion was, is not promoted either.

    Raises:
        DataMissing: there is no candidate.
    """
    candidate = load_candidate(root)
    if not has_pointer(root, "champion"):
        return Comparison(True, "There is no champion yet.", candidate.checkpoint, None, {}, {})
    champion = load_champion(root)
    names = (candidate.checkpoint, champion.checkpoint)
    if candidate.weights_sha256 == champion.weights_sha256:
        return Comparison(True, "The candidate is the champion.", *names, {}, {})
    if (why := withdrawn_weights(root).get(candidate.weights_sha256)) is not None:
        return Comparison(False, f"The candidate was champion and was taken back. {why}", *names, {}, {})
    ours, theirs = _tables(root, candidate.checkpoint), _tables(root, champion.checkpoint)
    gains = _paired_gains(ours, theirs)
    if not gains:
        reason = "Candidate and champion were measured on no clip in common: restore and measure the champion again."
        return Comparison(False, reason, *names, {}, {})
    if missing := [kind for kind in theirs if kind not in ours]:
        reason = f"The candidate was not measured on {', '.join(missing)}, the champion was: evaluate it on them."
        return Comparison(False, reason, *names, {}, {})
    by_kind = {
        kind: {name: mean_interval(values, seed=BOOTSTRAP_SEED) for name, values in of_kind.items()}
        for kind, of_kind in gains.items()
    }
    overall = {
        name: mean_interval([value for kind in gains for value in gains[kind][name]], seed=BOOTSTRAP_SEED)
        for name in METRICS
    }
    faults = _faults(overall, by_kind)
    return Comparison(not faults, " ".join(faults) or _praise(overall), *names, overall, by_kind)


def promote(root: str) -> Pointer:
    """Make the candidate the champion and add a line to `release/history.jsonl`; the champion itself changes nothing.

    Raises:
        DataMissing: there is no candidate.
        InvalidCheckpoint: it is worse than the champion.
    """
    candidate, comparison = load_candidate(root), compare_with_champion(root)
    if not comparison.not_worse:
        raise InvalidCheckpoint(
            f"Candidate {candidate.checkpoint} is worse than champion {comparison.champion}: {comparison.reason} "
            "Train longer or keep the champion."
        )
    content = {
        "checkpoint": candidate.checkpoint,
        "weights_sha256": candidate.weights_sha256,
        "metrics": dict(candidate.metrics),
    }
    if comparison.champion is None or load_champion(root).digest != digest(content):
        # The line first: a champion without history would be worse than a line for a promotion that is done again.
        remember(root, {**content, "previous": comparison.champion, "reason": comparison.reason})
    return write_pointer(root, "champion", content)


def _tables(root: str, checkpoint_key: str) -> dict[str, MetricTable]:
    folder = join(root, "evaluation", "metrics", checkpoint_key)
    return {
        kind: load_metrics(root, checkpoint_key, kind)
        for kind in EVALUATION_KINDS
        if exists(join(folder, f"{kind}.json"))
    }


def _paired_gains(
    candidate: Mapping[str, MetricTable], champion: Mapping[str, MetricTable]
) -> dict[str, dict[str, list[float]]]:
    """Kind to metric to the candidate's gain over the champion, on clips that are the same to the last bit."""
    gains: dict[str, dict[str, list[float]]] = {}
    for kind in candidate.keys() & champion.keys():
        before = {item.content_digest: item.restored for item in champion[kind].items}
        pairs = [(item.restored, before.get(item.content_digest)) for item in candidate[kind].items]
        shared = [(new, old) for new, old in pairs if old is not None]
        if shared:
            gains[kind] = {name: [SIGNS[name] * (new[name] - old[name]) for new, old in shared] for name in METRICS}
    return {kind: gains[kind] for kind in EVALUATION_KINDS if kind in gains}


def _faults(overall: Mapping[str, Interval], by_kind: Mapping[str, Mapping[str, Interval]]) -> list[str]:
    faults = [
        f"Over all clips {metric_name(name)} is worse by {number(-one.mean)} dB "
        f"({number(-one.high)} to {number(-one.low)})."
        for name, one in overall.items()
        if one.excludes_zero and one.mean < 0
    ]
    faults += [
        f"Kind {kind} collapsed: {metric_name(name)} is worse by {number(-one.mean)} dB "
        f"({number(-one.high)} to {number(-one.low)})."
        for kind, of_kind in by_kind.items()
        for name, one in of_kind.items()
        if one.mean < -COLLAPSE_DB and one.high < 0
    ]
    return faults


def _praise(overall: Mapping[str, Interval]) -> str:
    figures = ", ".join(
        f"{metric_name(name)} {number(one.mean)} dB ({number(one.low)} to {number(one.high)})"
        for name, one in overall.items()
    )
    num_clips = next(iter(overall.values())).num_values
    return f"Not worse on {num_clips} clips, better is positive: {figures}."
