"""Write requirements.txt: what pip has to install before the two packages that it can only install alone.

`descript-audiotools` asks for protobuf < 3.20 and dagster for >= 4. uv is told in pyproject.toml that 4 to 6 serve
both; pip can't be told, so DAC's two packages are installed with --no-deps, and what they need stands here.

uv run python scripts/write_requirements.py            write requirements.txt
uv run python scripts/write_requirements.py --check    fail if it is not what this would write
"""

import argparse
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).resolve().parent.parent
PLACE = PROJECT / "requirements.txt"
ALONE = ("descript-audio-codec", "descript-audiotools")
# Older than what dagster takes; the range that serves both is in pyproject.toml too.
REPLACED = {"protobuf": "protobuf>=4.25,<7"}
HEAD = """\
# What pip needs for AudioBuff; written by scripts/write_requirements.py from pyproject.toml. Then:
#   pip install --no-deps descript-audio-codec descript-audiotools
#   pip install --no-deps .
# uv needs none of this: `uv run audiobuff` does it all.
"""


def requirements() -> list[str]:
    """The lines: ours, then what DAC's packages need besides."""
    ours = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    lines = {Requirement(line).name.lower(): line for line in ours if Requirement(line).name not in ALONE}
    for package in ALONE:
        for line in requires(package) or ():
            needed = Requirement(line)
            name = needed.name.lower()
            if needed.marker is None and name not in (*ALONE, *lines):
                lines[name] = REPLACED.get(name, str(needed))
    return list(lines.values())


def main() -> int:
    """Write, or check; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, fail if it is not what this would write")
    text = HEAD + "\n".join(requirements()) + "\n"
    if parser.parse_args().check:
        if not PLACE.exists() or PLACE.read_text() != text:
            print("requirements.txt is not up to date: run scripts/write_requirements.py", file=sys.stderr)
            return 1
        return 0
    PLACE.write_text(text)
    print(f"{len(requirements())} requirements")
    return 0


if __name__ == "__main__":
    sys.exit(main())
