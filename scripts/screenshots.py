"""Take the screenshots of docs/images: the lineage as the browser shows it, after a demo.

    uv run audiobuff demo --out DIR && uv run python scripts/screenshots.py DIR/.dagster

It needs Chromium (package chromium, or its path in AUDIOBUFF_CHROMIUM). Pictures are reduced to a palette,
below 150 kB.
"""

import argparse
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from resources.process_tree import end_tree

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
WIDTH, HEIGHT = 1440, 900
GRAPH_WIDTH, GRAPH_HEIGHT = 1800, 1500
MAX_BYTES = 150_000
WAIT_SECONDS = 300
SETTLE_MILLISECONDS = 5000
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
RUNS = """query { runsOrError(filter: {statuses: [SUCCESS]}, limit: 500) {
  ... on Runs { results { runId assetSelection { path } jobName } } } }"""
# Path, and a text that is there once the page has its data.
PAGES = {
    "lineage": ("/asset-groups", "restoration"),
    "group": ("/locations/audiobuff/asset-groups/latents/lineage", "semantic"),
    "asset": ("/assets/audio/degraded?view=overview", "One partition"),
    "check": ("/assets/audio/pristine?view=checks", "decodes_and_is_finite"),
    "launchpad": ("/locations/audiobuff/jobs/train_restoration_model", "Materialize all"),
    "automation": ("/automation", "keep_latents_current"),
    "run": ("/runs/{run}", "latents_finite"),
}


def ask(address: str, query: str) -> dict[str, Any]:
    """What the web server answers to a query."""
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{address}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return dict(json.load(answer)["data"])


def wait_for(condition: Callable[[], Any]) -> Any:  # noqa: ANN401
    """The first true value of `condition()`, which may fail at first."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            if found := condition():
                return found
        except (OSError, KeyError, IndexError):
            pass
        time.sleep(1)
    raise SystemExit(f"Dagster did not show it within {WAIT_SECONDS} s: is the home that of a finished demo?")


def run_of_a_shard(address: str) -> str | None:
    """The newest run that made a shard, from audio to latents."""
    for row in ask(address, RUNS)["runsOrError"]["results"]:
        if row["jobName"] == "encode_new_audio" or {"path": ["audio", "pristine"]} in (row["assetSelection"] or []):
            return str(row["runId"])
    return None


def take(page: Page, address: str, out: Path, only: list[str]) -> None:
    """Save a picture of every page."""
    run = wait_for(lambda: run_of_a_shard(address))
    for name, (place, text) in PAGES.items():
        if name not in only:
            continue
        page.goto(address + place.format(run=run), wait_until="domcontentloaded", timeout=120_000)
        page.get_by_text(text).first.wait_for(timeout=1000 * WAIT_SECONDS)
        if (skip := page.get_by_role("button", name="Skip", exact=True)).is_visible():  # where Dagster asks who you are
            skip.click()
        if name == "launchpad":
            open_launchpad(page)
        page.wait_for_timeout(SETTLE_MILLISECONDS)  # graphs lay themselves out after their data came
        save(picture_of_graph(page) if name == "lineage" else page.screenshot(), out / f"dagster_{name}.png")


def picture_of_graph(page: Page) -> bytes:
    """All groups opened, and nothing but the graph: it is wide, and its names are small."""
    page.set_viewport_size({"width": GRAPH_WIDTH, "height": GRAPH_HEIGHT})
    page.keyboard.press("Alt+e")
    page.wait_for_timeout(SETTLE_MILLISECONDS)
    return page.locator("svg[class*=AssetGraphExplorer_svgContainer]").screenshot()


def open_launchpad(page: Page) -> None:
    """Jobs of assets have no page for it: it opens from the button, with Shift."""
    page.get_by_role("button", name="Materialize all").click(modifiers=["Shift"])
    page.get_by_text("All defaults expanded").first.wait_for(timeout=1000 * WAIT_SECONDS)


def save(data: bytes, path: Path) -> None:
    """Write a PNG with as many colours as fit."""
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    for colours in (128, 64, 32, 16):
        buffer = io.BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
        if buffer.tell() < MAX_BYTES:
            break
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())
    print(f"{path} {buffer.tell() / 1000:.0f} kB, {colours} colours")


@contextmanager
def dagster_at(home: str) -> Iterator[str]:
    """The address of a Dagster on `home`, which ends with the block, or `home` itself if that is an address."""
    if home.startswith("http"):
        yield home.rstrip("/")
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "audiobuff_assets.cli", "dev", "--home", home, "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        end_tree(server.pid)
        server.wait(20)


def main() -> None:
    """Start Dagster on the home, take the pictures, end it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", help="Dagster home of a finished demo, or the address of a Dagster that runs")
    parser.add_argument("--out", type=Path, default=IMAGES, metavar="DIR", help="default: docs/images")
    parser.add_argument("--only", nargs="*", default=[], choices=PAGES, help="some of the pages")
    arguments = parser.parse_args()
    chromium = os.environ.get("AUDIOBUFF_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        sys.exit("No Chromium: install the package chromium, or name one by AUDIOBUFF_CHROMIUM")
    with dagster_at(arguments.home) as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=list(FLAGS))
        for names, scale in (([name for name in PAGES if name != "lineage"], 1), (["lineage"], 2)):
            if wanted := [name for name in names if not arguments.only or name in arguments.only]:
                page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=scale)
                take(page, address, arguments.out, wanted)
        browser.close()


if __name__ == "__main__":
    main()
