"""What listeners said, as figures of the table: every listener's answers with the key of their page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, NoReturn

from audiobuff_core.errors import DataMissing, NotMeasurable
from audiobuff_core.evaluation.listening.excerpts import ANCHOR, REFERENCE
from audiobuff_core.evaluation.listening.session import SCHEMA
from audiobuff_core.evaluation.measured_items import MeasuredItem
from audiobuff_core.evaluation.metrics.protocol import Comparison, Metric
from audiobuff_core.evaluation.pairs import CEILING, FLOOR, Problem
from audiobuff_core.files import read_json

RESULTS, KEY = ".results.json", ".key.json"
# ITU-R BS.1534: who rates the hidden reference under 90 in more than 15 % of the trials did not hear the differences.
REFERENCE_SCORE, MOST_MISSED = 90.0, 0.15
CHANCE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """The answers of all listeners that count.

    Attributes:
        ratings: item to row to every score, 0 to 100.
        abx: item to row to whether X was told, for every trial.
        num_listeners: whose answers these are.
        problems: listeners whose ratings are left out, with the reason.
    """

    ratings: Mapping[str, Mapping[str, Sequence[float]]]
    abx: Mapping[str, Mapping[str, Sequence[float]]]
    num_listeners: int
    problems: tuple[Problem, ...]


def read_listening(places: Sequence[Path]) -> Heard:
    """The answers in `places`: files of results, or folders of them; keys lie beside.

    Raises:
        DataMissing: there are no results in a place, a file holds none, or there is no key to them.
    """
    ratings: dict[str, dict[str, list[float]]] = {}
    abx: dict[str, dict[str, list[float]]] = {}
    problems = []
    files = [file for place in places for file in _files(place)]
    for file in files:
        results = _of_schema(file)
        key = _key_of(file, results)
        try:
            scores = {
                (trial["item"], trial["stimuli"][stimulus]): float(score)
                for answer in results["ratings"]
                for trial in [key["ratings"][answer["trial"]]]
                for stimulus, score in answer["scores"].items()
            }
            told = [(key["abx"][answer["trial"]], answer["said"]) for answer in results["abx"]]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataMissing(
                f"{file} has answers that its key does not know ({error}): expected its own key"
            ) from error
        for trial, said in told:
            abx.setdefault(trial["item"], {}).setdefault(trial["row"], []).append(float(said == trial["x"]))
        if (reason := _deaf(scores)) is not None:
            problems.append(Problem(str(results["listener"]), "listening", "listener", reason, left_out=False))
            continue
        for (item, row), score in scores.items():
            ratings.setdefault(item, {}).setdefault(row, []).append(score)
    return Heard(ratings, abx, len(files), tuple(problems))


def _files(place: Path) -> list[Path]:
    files = sorted(place.glob(f"*{RESULTS}")) if place.is_dir() else [place]
    if not files:
        raise DataMissing(f"No *{RESULTS} in {place}: expected what the page of `audiobuff listen` saves")
    return files


def _of_schema(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise DataMissing(f"No results at {file}: expected what the page of `audiobuff listen` saves")
    content = read_json(file)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise DataMissing(f"{file} holds no results of schema {SCHEMA}: expected what `audiobuff listen`'s page saves")
    return content


def _key_of(file: Path, results: Mapping[str, Any]) -> dict[str, Any]:
    for place in sorted(file.parent.glob(f"*{KEY}")):
        key = _of_schema(place)
        if key["session"] == results.get("session"):
            return key
    raise DataMissing(
        f"No key of session {results.get('session')} beside {file}: put the {KEY} that `audiobuff listen` wrote there"
    )


def _deaf(scores: Mapping[tuple[str, str], float]) -> str | None:
    """Why these ratings can't be used; None where they can."""
    references = [score for (_, row), score in scores.items() if row == REFERENCE]
    missed = sum(score < REFERENCE_SCORE for score in references)
    if missed <= MOST_MISSED * len(references):
        return None
    return (
        f"rated the hidden reference under {REFERENCE_SCORE:g} in {missed} of {len(references)} trials: the ratings "
        "are left out (ITU-R BS.1534), the answers to A/B/X are not"
    )


def with_listening(
    items: Sequence[MeasuredItem], systems: Sequence[str], heard: Heard
) -> tuple[list[MeasuredItem], tuple[Metric, ...], tuple[Problem, ...]]:
    """`items` with what was heard of them as values of new metrics, these, and what was heard of no item here.

    The ceiling of a rating is that of the hidden reference, that of A/B/X is chance.
    """
    named = {item.item.name for item in items}
    strangers = sorted((set(heard.ratings) | set(heard.abx)) - named)
    problems = [
        Problem(name, "listening", "unpaired", "no item of this name here", left_out=False) for name in strangers
    ]
    metrics = [metric for metric, found in ((_rated(heard), heard.ratings), (_told(heard), heard.abx)) if found]
    return (
        [_with_values(item, systems, heard, metrics) for item in items],
        tuple(metrics),
        (*heard.problems, *problems),
    )


def _with_values(item: MeasuredItem, systems: Sequence[str], heard: Heard, metrics: Sequence[Metric]) -> MeasuredItem:
    if item.left_out:
        return item
    rated, told = heard.ratings.get(item.item.name, {}), heard.abx.get(item.item.name, {})
    rows = {row: dict(values) for row, values in item.rows.items()}
    gaps = {row: dict(item.gaps.get(row, {})) for row in rows}
    for row in (FLOOR, *systems, CEILING):
        answers = {
            "mushra": rated.get(REFERENCE if row == CEILING else row, ()),
            "abx_share": ((CHANCE,) if told else ()) if row == CEILING else told.get(row, ()),
        }
        for metric in metrics:
            if found := answers[metric.name]:
                rows[row][metric.name] = fmean(found)
            else:
                gaps[row][metric.name] = "it was not listened to"
    return replace(item, rows=rows, gaps=gaps)


def _rated(heard: Heard) -> Metric:
    anchors = [score for rows in heard.ratings.values() for score in rows.get(ANCHOR, ())]
    anchor = f"; the low anchor got {fmean(anchors):.0f}" if anchors else ""
    num = heard.num_listeners - len(heard.problems)
    return Metric(
        name="mushra", title="MUSHRA", better="higher", material=1.0, needs_sound=False, compare=_heard,
        about=f"Blind ratings of 0 to 100 by {num} listener{'s' if num != 1 else ''}, after ITU-R BS.1534, mean over "
        f"listeners; the ceiling is the hidden reference{anchor}.",
    )  # fmt: skip


def _told(heard: Heard) -> Metric:
    return Metric(
        name="abx_share", title="A/B/X told", better="lower", material=0.05, needs_sound=False, compare=_heard,
        about=f"Share of blind trials in which {heard.num_listeners} listener"
        f"{'s' if heard.num_listeners != 1 else ''} told it from the clean recording; 0.5 is chance.",
    )  # fmt: skip


def _heard(_comparison: Comparison) -> NoReturn:
    raise NotMeasurable("it is heard, not computed")
