"""`audiobuff fetch-weights`: pretrained encoders onto this machine, or into a team's bucket."""

import argparse
import os
import re
from collections.abc import Sequence
from typing import Final

from audiobuff_core.codecs.download import DownloadFailed, download, is_readable
from audiobuff_core.codecs.file_hash import checked_hash, hash_note
from audiobuff_core.codecs.weights import GITHUB, HUB, PUBLISHED, published, weights_root
from audiobuff_core.errors import InvalidCheckpoint
from audiobuff_core.files import delete, exists, is_local, join, local_path, write_bytes
from audiobuff_core.progress import show_progress

DEFAULT_NAMES: Final = ("dac", "xcodec", "audiomae")
_EXAMPLES: Final = """examples:
  audiobuff fetch-weights                                    DAC at 44.1 kHz, X-Codec and AudioMAE
  audiobuff fetch-weights dac-24khz                          one more
  audiobuff fetch-weights hf-audio/xcodec-wavlm-mls          then: --structure xcodec:hf-audio/xcodec-wavlm-mls
  audiobuff fetch-weights descript/dac_44khz                 then: --codec dac:descript/dac_44khz, by transformers
  audiobuff fetch-weights --to s3://team/weights             then, on every machine: AUDIOBUFF_WEIGHTS=s3://team/weights

HF_ENDPOINT and AUDIOBUFF_GITHUB name mirrors of the two publishers."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `fetch-weights` to the command line."""
    made = commands.add_parser(
        "fetch-weights",
        help="download the pretrained encoders",
        description="Download pretrained weights, checked and whole; after it everything works offline. "
        "What is there and whole is left alone, what was damaged is fetched anew.",
        epilog=_EXAMPLES,
    )
    made.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"{', '.join(PUBLISHED)}, or owner/name on the hub (default: {' '.join(DEFAULT_NAMES)})",
    )
    made.add_argument(
        "--to",
        metavar="URL",
        help="folder or bucket to put them in (default: AUDIOBUFF_WEIGHTS, else the user's cache)",
    )
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    made.set_defaults(run=lambda arguments: run_fetch_weights(arguments.names, to=arguments.to))


def run_fetch_weights(names: Sequence[str], *, to: str | None = None) -> int:
    """Fetch what is missing or damaged of `names` (default: one of each kind) to `to` (default: the weights folder); 0.

    Each file's SHA-256 is noted beside it, and compared when the weights are loaded.
    HF_ENDPOINT and AUDIOBUFF_GITHUB name mirrors of the two publishers, laid out as they are.

    Raises:
        EncoderUnavailable: nothing is published under a name; nothing was fetched then.
        DataMissing: the publisher has no such file.
        DownloadFailed: a file broke off or is not what was announced; what was fetched before is kept.
        OutputNotWritable: the place is read-only or full.
    """
    root = (to or weights_root()).rstrip("/")
    wanted = [published(name) for name in names or DEFAULT_NAMES]
    for weights in wanted:
        for path, url in weights.files:
            destination = join(root, path)
            if _is_there(destination):
                print(f"{weights.name}: there already, {destination}")
                continue
            _fetch(weights.name, _mirrored(url), destination)
    if to is not None and to != weights_root():
        print(f"To use them: export AUDIOBUFF_WEIGHTS={root}")
    return 0


def _is_there(place: str) -> bool:
    """Whether a whole file is at `place`; one on this disk must also be what is noted beside it."""
    if not is_local(place):
        return exists(place)
    path = local_path(place)
    if not path.is_file():
        return False
    try:
        checked_hash(path)
    except InvalidCheckpoint as error:
        print(f"{error}: fetched anew")
        return False
    if not is_readable(path):
        print(f"{place} is not whole: fetched anew")
        return False
    return True


def _fetch(name: str, source: str, destination: str) -> None:
    print(f"{name}: download of {source}", flush=True)
    note = hash_note(destination)
    delete(note)  # of a file that was there before
    with show_progress():
        found = download(source, destination, sha256=_announced_hash(source))
    if not destination.endswith(".json"):
        write_bytes(note, f"{found}  {destination.rpartition('/')[2]}\n".encode())
    print(f"{name}: {destination} (SHA-256 {found[:16]}...)")


def _mirrored(url: str) -> str:
    hub = os.environ.get("HF_ENDPOINT") or HUB
    github = os.environ.get("AUDIOBUFF_GITHUB") or GITHUB
    return url.replace(HUB, hub.rstrip("/"), 1).replace(GITHUB, github.rstrip("/"), 1)


def _announced_hash(url: str) -> str | None:
    """The SHA-256 that the hub states for a large file; None where none is stated, as on GitHub."""
    if "/resolve/" not in url:
        return None
    from huggingface_hub import get_hf_file_metadata

    try:
        etag = get_hf_file_metadata(url).etag
    except Exception as error:  # of its HTTP client, which it has changed more than once
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403, 404):
            return None  # there is no such file: the download itself says so
        shown = " ".join(str(error).split())[:200] or type(error).__name__
        raise DownloadFailed(
            f"Could not ask {url} for its hash ({shown}): nothing was kept; look at the network, and run it again"
        ) from error
    return etag if etag and _SHA256.fullmatch(etag) else None
