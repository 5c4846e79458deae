"""Peers over a folder of damaged recordings: a folder of restored ones each, and how fast they were."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import audiobuff_core.audio
import audiobuff_core.evaluation.peers
import audiobuff_core.treatment
from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.data.seen import look_through
from audiobuff_core.degradation import faults
from audiobuff_core.degradation.plan import PlanRow
from audiobuff_core.errors import AudioBuffError, AudioNotFound, DataMissing, InvalidAudio, InvalidConfig
from audiobuff_core.evaluation.kept_figures import digest_of_code, digest_of_samples
from audiobuff_core.evaluation.peers.catalogue import OPERATOR, PEERS
from audiobuff_core.evaluation.peers.peer import Case, Peer, Restore
from audiobuff_core.files import read_json, require_writable, write_json
from audiobuff_core.progress import track
from audiobuff_core.seeding import digest

REPORT = "baselines.json"
# Seconds a second of audio that one tool may take, and the seconds that it has on the shortest recording.
DEFAULT_LIMIT = 2.0
LEAST_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class PeerRun:
    """What one peer did.

    Attributes:
        folder: of its recordings, named as the damaged ones but for their suffix.
        licence: of the peer.
        packages: with the versions that ran.
        num_done: recordings that it restored.
        audio_seconds: of them together.
        wall_seconds: that it took, without reading, writing and getting ready; the operator's with all tools it tried.
        real_time_factor: seconds of audio a second.
        refused: recording to why it was not restored.
        tools: recording to the tools that were chosen; of the operator only.
        given_up: recording to the tools that took too long on it, and were left out.
    """

    folder: str
    licence: str
    packages: Mapping[str, str]
    num_done: int
    audio_seconds: float
    wall_seconds: float
    real_time_factor: float
    refused: Mapping[str, str]
    tools: Mapping[str, Sequence[str]]
    given_up: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class PeerRuns:
    """All peers: those that ran, and why the others did not."""

    runs: Mapping[str, PeerRun]
    gaps: Mapping[str, str]


def run_peers(
    degraded: Path, out: Path, *, names: Sequence[str], clean: Path | None = None, limit: float = DEFAULT_LIMIT
) -> PeerRuns:
    """Restore all of `degraded` by each of `names` into `out`/<name>, and write `out`/baselines.json.

    Recordings keep their names and become WAV of 32-bit floats, which holds what exceeds full scale; beside each lies
    a `.json` with the seconds that it took. The rows of damage are read from the `.json` that `audiobuff degrade`
    writes beside its outputs. What is done is not done again: a run that was cut off goes on.

    Args:
        degraded: folder of damaged recordings.
        out: folder for the results.
        names: peers.
        clean: folder with the clean recordings under the same names (without suffix), by which the operator chooses
            among its tools.
        limit: seconds a second of audio that one tool may take on a recording, though never less than ten seconds.
            What is slower is given up on that recording, and named.

    Raises:
        InvalidConfig: `limit` is not positive, a name is no peer's, a folder would be written into itself, or two
            recordings differ by their suffix alone.
        AudioNotFound: no recording lies in `degraded`.
        OutputNotWritable: `out` is no place for files.
    """
    unknown = sorted(set(names) - set(PEERS))
    if unknown or not names:
        raise InvalidConfig(f"Peer {', '.join(unknown) or 'none'}: expected any of {', '.join(PEERS)}")
    if not limit > 0:
        raise InvalidConfig(f"Limit {limit}: expected seconds a second of audio that a tool may take, more than 0")
    if out.resolve() in (degraded.resolve(), clean.resolve() if clean else None):
        raise InvalidConfig(f"Output {out} is an input folder: name another")
    paths = _recordings(degraded, out)
    originals = {} if clean is None else _recordings(clean, out)
    require_writable(out / REPORT)
    runs: dict[str, PeerRun] = {}
    gaps: dict[str, str] = {}
    for name in dict.fromkeys(names):
        try:
            packages, restore = PEERS[name].versions(), PEERS[name].load()
        except AudioBuffError as error:
            gaps[name] = str(error)
            continue
        cases = partial(_case, originals=originals if clean else None, limit=limit)
        runs[name] = _run(PEERS[name], restore, packages, paths, out / name, cases)
    result = PeerRuns(runs, gaps)
    write_json(out / REPORT, {"degraded": str(degraded), "num_recordings": len(paths), **asdict(result)})
    return result


def _recordings(folder: Path, out: Path) -> dict[str, Path]:
    """Every recording below `folder` by its path there without suffix; what lies in `out` is none."""
    top, inside = folder.resolve(), out.resolve()
    paths = [Path(path) for path in look_through(str(folder), inboxes=True)[0]]
    found: dict[str, Path] = {}
    for path in paths:
        if top in inside.parents and inside in path.parents:
            continue
        name = path.relative_to(top).with_suffix("").as_posix()
        if name in found:
            raise InvalidConfig(f"{found[name]} and {path} differ by their suffix alone: rename one")
        found[name] = path
    if not found:
        raise AudioNotFound(f"No recordings below {folder}: expected files such as .wav or .flac; check the path")
    return found


def _run(
    peer: Peer, restore: Restore, packages: dict[str, str], paths: Mapping[str, Path], folder: Path,
    case_of: Callable[[str, Path], Case],
) -> PeerRun:  # fmt: skip
    audio_seconds = wall_seconds = 0.0
    refused: dict[str, str] = {}
    tools: dict[str, Sequence[str]] = {}
    given_up: dict[str, Sequence[str]] = {}
    for name, path in track(paths.items(), f"Restoring by {peer.name}", total=len(paths)):
        try:
            case = case_of(name, path)
            record = _restored(peer, restore, packages, case, path, folder / f"{name}.wav")
        except Exception as error:  # whatever other people's code fails with is named, not hidden
            refused[name] = " ".join(f"{type(error).__name__}: {error}".split())
            continue
        audio_seconds += case.damaged.duration_seconds
        wall_seconds += record["seconds"]
        if record["tools"]:
            tools[name] = tuple(record["tools"])
        if record["given_up"]:
            given_up[name] = tuple(record["given_up"])
    factor = audio_seconds / wall_seconds if wall_seconds else 0.0
    return PeerRun(
        str(folder), peer.licence, packages, len(paths) - len(refused), audio_seconds, wall_seconds, factor, refused,
        tools, given_up,
    )  # fmt: skip


def _restored(
    peer: Peer, restore: Restore, packages: dict[str, str], case: Case, path: Path, destination: Path
) -> dict[str, Any]:
    """What is told beside `destination`: of what lies there, if it is of the same case and code, or of a new one.

    What was given up is tried again once the limit is another.
    """
    asked, beside = _asked(peer, packages, case), Path(f"{destination}.json")
    record: dict[str, Any] = read_json(beside) if beside.is_file() and destination.is_file() else {}
    if record.get("asked") == asked and (not record["given_up"] or record["limit_seconds"] == case.limit_seconds):
        return record
    started = time.perf_counter()
    outcome = restore(case)
    seconds = time.perf_counter() - started
    record = {
        "peer": peer.name, "seconds": seconds, "input": str(path), "tools": outcome.how, "given_up": outcome.given_up,
        "limit_seconds": case.limit_seconds, "asked": asked,
    }  # fmt: skip
    _write(destination, case, outcome.waveform)
    write_json(beside, record)
    return record


def _asked(peer: Peer, packages: dict[str, str], case: Case) -> str:
    """Digest of all that decides what comes of `case`."""
    samples = [None if one is None else digest_of_samples(one) for one in (case.damaged, case.clean)]
    return digest(peer.name, packages, _code(peer.name), case.row and case.row.as_dict(), samples)


@cache
def _code(name: str) -> str:
    """Of all peers, and of our treatments and degradations, which the operator knows."""
    known = (audiobuff_core.treatment, faults) if name == OPERATOR else ()
    return digest_of_code(audiobuff_core.evaluation.peers, audiobuff_core.audio, *known)


def _case(name: str, path: Path, *, originals: Mapping[str, Path] | None, limit: float) -> Case:
    if originals is not None and name not in originals:
        raise AudioNotFound(f"There is no clean recording of this name: expected {name} with any suffix")
    beside = Path(f"{path}.json")
    damaged = read_audio(path)
    return Case(
        damaged,
        row=_row(beside) if beside.is_file() else None,
        clean=None if originals is None else read_audio(originals[name]),
        limit_seconds=max(LEAST_SECONDS, limit * damaged.duration_seconds),
    )


def _row(beside: Path) -> PlanRow:
    content: Any = read_json(beside)
    try:
        return PlanRow.from_dict(content["row"])
    except (KeyError, TypeError) as error:
        raise DataMissing(f"{beside} holds no row: expected the .json that `audiobuff degrade` wrote") from error


def _write(destination: Path, case: Case, made: Waveform) -> None:
    if made.samples.shape != case.damaged.samples.shape or made.sample_rate != case.damaged.sample_rate:
        raise InvalidAudio(
            f"It gave shape {made.samples.shape} at {made.sample_rate} Hz: expected {case.damaged.samples.shape} at "
            f"{case.damaged.sample_rate} Hz"
        )
    write_audio(destination, made)
