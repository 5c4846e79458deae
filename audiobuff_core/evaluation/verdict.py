"""What the measurements say, in words, the bad as plainly as the good."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from audiobuff_core.evaluation.bootstrap import Interval
from audiobuff_core.evaluation.held_out import MAIN_KIND
from audiobuff_core.evaluation.table import MATERIAL_DB, METRICS, MetricTable, is_clear

Outcome = Literal["better", "mixed", "unclear", "worse"]

OUTCOME_WORDS: dict[Outcome, str] = {
    "better": "better",
    "mixed": "better and worse",
    "unclear": "no clear change",
    "worse": "worse",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one checkpoint.

    Attributes:
        outcome: on the main kind of damage.
        headline: one sentence on it.
        sentence: the figures behind the headline, with intervals.
        harm: sentences on what got worse; empty where nothing did.
        outcomes: kind to outcome.
    """

    outcome: Outcome
    headline: str
    sentence: str
    harm: tuple[str, ...]
    outcomes: Mapping[str, Outcome]


def outcome_of(table: MetricTable) -> Outcome:
    """Better or worse where a gain is clear; mixed where one metric clearly rose and another fell."""
    gains = [table.gain_intervals[name] for name in METRICS]
    better = any(is_clear(gain) and gain.mean > 0 for gain in gains)
    worse = bool(table.lost)
    if better and worse:
        return "mixed"
    if better or worse:
        return "better" if better else "worse"
    return "unclear"


def judge(tables: Mapping[str, MetricTable]) -> Verdict:
    """The verdict on one checkpoint, from its table of each kind; the main kind is `seed`, or else the first."""
    main_kind = MAIN_KIND if MAIN_KIND in tables else next(iter(tables))
    main = tables[main_kind]
    outcome = outcome_of(main)
    full = all(is_clear(gain) and gain.mean > 0 for gain in (main.gain_intervals[name] for name in METRICS))
    share = "both measures" if full else "one measure of two"
    clips = f"{len(main.items)} clip{'s' if len(main.items) != 1 else ''} never heard in training"
    headline = {
        "better": f"Restored audio is closer to the original on {clips}, by {share}.",
        "mixed": f"Restoration improves one measure and worsens the other on {clips}.",
        "unclear": f"Restoration makes no clear difference on {clips}.",
        "worse": f"Restoration makes {clips} worse.",
    }[outcome]
    sentence = f"{_change('lsd_db', main)}; {_change('si_sdr_db', main)}."
    outcomes = {kind: outcome_of(table) for kind, table in tables.items()}
    return Verdict(outcome, headline, sentence, tuple(_harm(tables, main_kind, outcomes)), outcomes)


def _change(metric: str, table: MetricTable) -> str:
    """Such as `the log-spectral distance fell from 18.0 to 9.8 dB (by 8.2 dB, 95 % interval 7.1 to 9.4)`."""
    gain = table.gain_intervals[metric]
    lower_is_better = metric == "lsd_db"
    name = "Log-spectral distance" if lower_is_better else "SI-SDR"
    fell = (gain.mean > 0) == lower_is_better
    before, after = table.degraded[metric], table.restored[metric]
    if gain.mean == 0:
        return f"{name} stayed at {number(after)} dB"
    verb = "fell" if fell else "rose"
    shown = gain if gain.mean >= 0 else Interval(-gain.mean, -gain.high, -gain.low, gain.num_values, gain.confidence)
    certainty = (
        "" if is_clear(gain) else ", too little to matter" if gain.excludes_zero else ", which does not exclude zero"
    )
    return (
        f"{name} {verb} from {number(before)} to {number(after)} dB, by {number(shown.mean)} dB "
        f"({gain.confidence:.0%} interval {number(shown.low)} to {number(shown.high)}{certainty})".replace("%", " %")
    )


def _harm(tables: Mapping[str, MetricTable], main_kind: str, outcomes: Mapping[str, Outcome]) -> list[str]:
    sentences = []
    others = [kind for kind in tables if kind != main_kind]
    hurt = [kind for kind in others if outcomes[kind] in ("worse", "mixed")]
    if hurt:
        listed = ", ".join(f"{kind_name(kind)} ({_losses(tables[kind])})" for kind in hurt)
        sentences.append(f"{len(hurt)} of {len(others)} other kinds came out worse by at least one measure: {listed}.")
    for metric in METRICS:
        losers = [item for item in tables[main_kind].items if item.gains[metric] <= -MATERIAL_DB]
        if losers:
            worst = min(losers, key=lambda item: item.gains[metric])
            sentences.append(
                f"By {metric_name(metric)}, {len(losers)} of the {len(tables[main_kind].items)} "
                f"{kind_name(main_kind)} clips lost, {worst.track_id} the most ({number(-worst.gains[metric])} dB)."
            )
    for other in tables[main_kind].harmed:
        gain = tables[main_kind].gain_intervals[other.name]
        sentences.append(
            f"{other.title} got worse on {kind_name(main_kind)} clips, by {-gain.mean:.3g} {other.unit}".rstrip()
            + f" ({-gain.high:.3g} to {-gain.low:.3g})."
        )
    return sentences


def _losses(table: MetricTable) -> str:
    return ", ".join(f"{metric_name(name)} by {number(-table.gain_intervals[name].mean)} dB" for name in table.lost)


def metric_name(metric: str) -> str:
    """The name of a metric as people write it."""
    return {"lsd_db": "LSD", "si_sdr_db": "SI-SDR"}[metric]


def kind_name(kind: str) -> str:
    """The name of a kind of damage as people write it."""
    return {"seed": "original-recipe", "band_limit": "band limit", "mp3": "MP3", "clean": "untouched"}.get(kind, kind)


def number(value: float) -> str:
    """A figure in dB with as many places as its size deserves, and a true minus sign."""
    places = 1 if abs(value) >= 9.95 else 2
    text = f"{value:.{places}f}"
    if float(text) == 0:
        text = f"{0:.{places}f}"
    return text.replace("-", "\N{MINUS SIGN}")
