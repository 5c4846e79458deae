"""Pin every resolved version in pyproject.toml, so that every machine installs alike without a lock file.

uv run python scripts/pin_versions.py            resolve anew, with the newest versions, and pin those
uv run python scripts/pin_versions.py --check    fail if a package would be installed in an unpinned version
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
BEGIN, END = "constraint-dependencies = [\n", "]\n"
BLOCK = re.compile(r"constraint-dependencies = \[\n.*?^\]\n", re.MULTILINE | re.DOTALL)
EXPORT = (
    "uv",
    "export",
    "--all-groups",
    "--all-extras",
    "--no-hashes",
    "--no-emit-project",
    "--no-annotate",
    "--no-header",
)


def resolved() -> list[str]:
    """What uv would install anywhere: `name==version ; marker`, sorted."""
    output = subprocess.run([*EXPORT, "--quiet"], check=True, capture_output=True, text=True, cwd=PROJECT.parent).stdout
    lines = [line.strip() for line in output.splitlines()]
    return sorted(line for line in lines if "==" in line)


def pinned(text: str) -> list[str]:
    """What pyproject.toml pins."""
    block = BLOCK.search(text)
    return re.findall(r'^    "(.*)",$', block.group(), re.MULTILINE) if block else []


def with_pins(text: str, pins: list[str]) -> str:
    """`text` with these pins in its [tool.uv] table."""
    block = BEGIN + "".join(f'    "{pin}",\n' for pin in pins) + END
    if BLOCK.search(text):
        return BLOCK.sub(lambda _: block, text)
    return text.replace("[tool.uv]\n", f"[tool.uv]\n{block}")


def main() -> int:
    """Pin, or check the pins; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, fail if a version is not pinned")
    text = PROJECT.read_text()
    if parser.parse_args().check:
        loose = sorted(set(resolved()) - set(pinned(text)))
        if loose:
            print(f"Not pinned in pyproject.toml: {', '.join(loose)}. Run scripts/pin_versions.py.", file=sys.stderr)
        return 1 if loose else 0
    PROJECT.write_text(with_pins(text, []))
    try:
        subprocess.run(["uv", "lock", "--upgrade", "--quiet"], check=True, cwd=PROJECT.parent)
        pins = resolved()
    except BaseException:
        PROJECT.write_text(text)
        raise
    PROJECT.write_text(with_pins(text, pins))
    print(f"{len(pins)} versions pinned")
    return 0


if __name__ == "__main__":
    sys.exit(main())
