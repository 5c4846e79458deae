"""Where the bundled demo corpus lies."""

from importlib.resources import files
from pathlib import Path


def corpus_folder() -> Path:
    """The folder of the demo corpus: FLAC files, `sources.csv`, and `inbox/` with a damaged recording to repair."""
    return Path(str(files("audiobuff_assets"))) / "corpus"
