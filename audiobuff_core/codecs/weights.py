"""Where pretrained weights lie on this machine, what is published where, and how to get it.

A place is looked for in this order: the location given with the encoder's name, the environment variable
AUDIOBUFF_<NAME>_WEIGHTS, the weights folder (AUDIOBUFF_WEIGHTS, which may be any fsspec URL, or the user's cache).
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from audiobuff_core.codecs.download import download, is_readable
from audiobuff_core.codecs.file_hash import checked_hash, hash_note, noted_hash
from audiobuff_core.errors import DataMissing, EncoderUnavailable, InvalidCheckpoint
from audiobuff_core.files import exists, is_local, local_path
from audiobuff_core.seeding import digest

GITHUB: Final = "https://github.com"
HUB: Final = "https://huggingface.co"
HUB_FILES: Final = ("config.json", "model.safetensors")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_DAC_RELEASES: Final = f"{GITHUB}/descriptinc/descript-audio-codec/releases/download"


@dataclass(frozen=True, slots=True)
class PublishedWeights:
    """What is published for one encoder.

    Attributes:
        name: as in `audiobuff fetch-weights NAME`.
        files: (path in the weights folder, URL) of each file.
        place: what the encoder loads, a file or folder in the weights folder.
    """

    name: str
    files: tuple[tuple[str, str], ...]
    place: str

    @property
    def variable(self) -> str:
        """The environment variable that names another place."""
        return f"AUDIOBUFF_{re.sub(r'[^A-Z0-9]', '_', self.name.upper())}_WEIGHTS"


def _release(name: str, file: str, path: str) -> PublishedWeights:
    return PublishedWeights(name, ((f"dac/{file}", f"{_DAC_RELEASES}/{path}"),), f"dac/{file}")


def hub_weights(repository: str, name: str | None = None) -> PublishedWeights:
    """The weights of a repository on the hub, which `audiobuff fetch-weights` knows by its id, or by `name`."""
    folder = repository.replace("/", "--")
    files = tuple((f"{folder}/{file}", f"{HUB}/{repository}/resolve/main/{file}") for file in HUB_FILES)
    return PublishedWeights(name or repository, files, folder)


PUBLISHED: Final = {
    known.name: known
    for known in (
        _release("dac", "weights_44khz_8kbps_0.0.1.pth", "0.0.1/weights.pth"),
        _release("dac-24khz", "weights_24khz_8kbps_0.0.4.pth", "0.0.4/weights_24khz.pth"),
        _release("dac-16khz", "weights_16khz_8kbps_0.0.5.pth", "0.0.5/weights_16khz.pth"),
        hub_weights("hf-audio/xcodec-hubert-general-balanced", "xcodec"),
        hub_weights("gaunernst/vit_base_patch16_1024_128.audiomae_as2m", "audiomae"),
    )
}


def weights_root() -> str:
    """The weights folder: AUDIOBUFF_WEIGHTS, else `audiobuff/weights` in the user's cache."""
    chosen = os.environ.get("AUDIOBUFF_WEIGHTS")
    if chosen:
        return str(local_path(chosen).expanduser()) if is_local(chosen) else chosen.rstrip("/")
    return str(cache_folder() / "weights")


def cache_folder() -> Path:
    """`audiobuff` in the user's cache (XDG_CACHE_HOME, else ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "audiobuff"


def published(name: str) -> PublishedWeights:
    """The published weights called `name`, which may be a repository's id on the hub.

    Raises:
        EncoderUnavailable: nothing is published under that name.
    """
    if name in PUBLISHED:
        return PUBLISHED[name]
    if _HUB_ID.fullmatch(name):
        return hub_weights(name)
    raise EncoderUnavailable(
        f"No weights are published as {name!r}: expected one of {', '.join(PUBLISHED)}, or owner/name on the hub"
    )


def find_weights(of: str | PublishedWeights, location: str | None = None) -> Path:
    """A file or folder on this machine with the weights `of` an encoder; nothing is fetched from a publisher.

    `location` is a path, an fsspec URL (copied to the cache once), or a repository's id whose weights were fetched.

    Raises:
        EncoderUnavailable: there is nothing there; the message says how to get it.
    """
    known = PUBLISHED[of] if isinstance(of, str) else of
    chosen = location or os.environ.get(known.variable)
    if chosen is None:
        return _in_folder(known, known)
    if not is_local(chosen):
        return _copied(chosen, known.name)
    path = local_path(chosen).expanduser()
    if path.exists():
        return path
    if _HUB_ID.fullmatch(chosen):
        return _in_folder(hub_weights(chosen), known)
    raise EncoderUnavailable(
        f"No weights of {known.name} at {chosen}: expected a file or folder; give another, or leave it out and "
        f"run `audiobuff fetch-weights {known.name}`"
    )


def weights_state(name: str) -> tuple[str, bool]:
    """Where the weights of encoder `name` are looked for, and whether whole ones are there; copies nothing.

    Files on this machine are read and compared with the hashes noted beside them; of a URL, only being there is seen.

    Raises:
        EncoderUnavailable: they are at a URL that can't be asked.
    """
    known = PUBLISHED[name]
    chosen = os.environ.get(known.variable)
    root = weights_root()
    if (chosen and not is_local(chosen)) or (not chosen and not is_local(root)):
        place = chosen or f"{root}/{known.place}"
        try:
            return place, exists(place)
        except Exception as error:  # every kind of store has its own errors
            shown = " ".join(str(error).split())[:150] or type(error).__name__
            raise EncoderUnavailable(
                f"{place} can't be looked at ({shown}): check the address and your credentials"
            ) from error
    try:
        found = find_weights(name)
    except EncoderUnavailable:
        return chosen or str(local_path(root).expanduser() / known.place), False
    files = [found] if found.is_file() else [found / file for file in HUB_FILES]
    return str(found), all(_is_whole(file) for file in files)


def _is_whole(file: Path) -> bool:
    try:
        return file.is_file() and is_readable(file) and bool(checked_hash(file))
    except InvalidCheckpoint:
        return False


def _in_folder(known: PublishedWeights, of: PublishedWeights) -> Path:
    """The place of `known` in the weights folder, for the encoder whose usual weights are `of`."""
    root = weights_root()
    if not is_local(root):
        return _copied(f"{root}/{known.place}", of.name, [path for path, _ in known.files])
    folder = local_path(root).expanduser()
    if all((folder / path).is_file() for path, _ in known.files):
        return folder / known.place
    raise EncoderUnavailable(
        f"No weights of {known.name} in {folder}: run `audiobuff fetch-weights {known.name}`, or name a local path, "
        f"as in {of.name}:PATH or {of.variable}=PATH"
    )


def _copied(url: str, name: str, files: list[str] | None = None) -> Path:
    """The file or folder at `url`, copied to the cache unless it is there."""
    base = url.rstrip("/")
    file = base.partition("?")[0].rsplit("/", 1)[1]  # a signed URL ends with its signature
    is_file = file.endswith((".pth", ".pt", ".safetensors"))
    names = [] if is_file else [path.rsplit("/", 1)[1] for path in files or HUB_FILES]
    place = cache_folder() / "from-url" / digest(base)[:16]
    wanted = [(base, place / file)] if is_file else [(f"{base}/{n}", place / n) for n in names]
    for source, target in wanted:
        if not target.exists():
            try:
                # What `fetch-weights` put into a bucket has its hash beside it.
                download(source, str(target), sha256=_noted(source, target) if files else None)
            except FileNotFoundError as error:
                raise EncoderUnavailable(
                    f"No weights of {name} at {source}: run `audiobuff fetch-weights {name} --to URL` first, "
                    "or name another place"
                ) from error
    return wanted[0][1] if is_file else place


def _noted(source: str, target: Path) -> str | None:
    """The SHA-256 that is noted beside `source`, whose note is copied to be beside `target`; None if there is none."""
    note = Path(hash_note(str(target)))
    try:
        download(hash_note(source), str(note))
    except DataMissing:
        return None
    return noted_hash(note.read_bytes())
