"""Fail unless a demo's summary.json shows that its model truly restores the recipe it was trained for.

uv run python scripts/check_summary.py DIR/summary.json
"""

import json
import sys
from pathlib import Path


def failures(summary: dict) -> list[str]:
    """What the summary lacks."""
    gains = summary["gains"]
    found = []
    if summary["num_clips"] < 20:
        found.append(f"{summary['num_clips']} held-out clips: expected at least 20")
    if not gains["lsd_db"]["low"] > 0:
        found.append(f"LSD gain {gains['lsd_db']}: expected an interval above 0 dB")
    if not gains["si_sdr_db"]["low"] > 0:
        found.append(f"SI-SDR gain {gains['si_sdr_db']}: expected an interval above 0 dB")
    if not summary["in_the_box"]["lsd_db"] < summary["degraded"]["lsd_db"]:
        found.append(f"the model in the box: {summary['in_the_box']}, expected a lower LSD than {summary['degraded']}")
    return found


if __name__ == "__main__":
    wrong = failures(json.loads(Path(sys.argv[1]).read_text()))
    for line in wrong:
        print(line, file=sys.stderr)
    sys.exit(1 if wrong else 0)
