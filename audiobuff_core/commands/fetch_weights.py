"""`audiobuff fetch-weights`: pretrained encoders onto this machine, or into a team's bucket."""

import argparse
import os
import re
from collections.abc import Sequence
from typing import Final

from audiobuff_core.codecs.download import download
from audiobuff_core.codecs.weights import GITHUB, HUB, PUBLISHED, published, weights_root
from audiobuff_core.files import exists, join

DEFAULT_NAMES: Final = ("dac", "xcodec", "audiomae")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `fetch-weights` to the command line."""
    made = commands.add_parser(
        "fetch-weights",
        help="download the pretrained encoders",
        description="Download pretrained weights, checked and whole; after it everything works offline.",
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
    """Fetch what is missing of `names` (default: one of each kind) to `to` (default: the weights folder); 0.

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
            if exists(destination):
                print(f"{weights.name}: there already, {destination}")
                continue
            source = _mirrored(url)
            print(f"{weights.name}: download of {source}", flush=True)
            found = download(source, destination, sha256=_announced_hash(source))
            print(f"{weights.name}: {destination} (SHA-256 {found[:16]}...)")
    if to is not None and to != weights_root():
        print(f"To use them: export AUDIOBUFF_WEIGHTS={root}")
    return 0


def _mirrored(url: str) -> str:
    hub = os.environ.get("HF_ENDPOINT") or HUB
    github = os.environ.get("AUDIOBUFF_GITHUB") or GITHUB
    return url.replace(HUB, hub.rstrip("/"), 1).replace(GITHUB, github.rstrip("/"), 1)


def _announced_hash(url: str) -> str | None:
    """The SHA-256 that the hub states for a large file; None where none is stated, as on GitHub."""
    if "/resolve/" not in url:
        return None
    from huggingface_hub import get_hf_file_metadata
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        etag = get_hf_file_metadata(url).etag
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError):
        return None  # the download itself then says what is wrong
    return etag if etag and _SHA256.fullmatch(etag) else None
