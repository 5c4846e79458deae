"""Progress of long work, shown by whoever runs it: `track` in the library, `show_progress` in a command line.

Nothing is printed unless `show_progress` is active, so the library stays quiet under Dagster and in tests.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

Item = TypeVar("Item")

SECONDS_BETWEEN_LINES = 10.0

_shown: list["Progress"] = []


def track(items: Sequence[Item] | Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Yield `items`, moving a bar named `description` if one is shown; `total` where `items` has no length."""
    if not _shown:
        yield from items
        return
    count = total if total is not None else len(items)  # type: ignore[arg-type]
    bars = _shown[-1]
    if not bars.console.is_terminal:
        yield from _with_lines(items, description, count)
        return
    task = bars.add_task(description, total=count)
    for item in items:
        yield item
        bars.advance(task)


def share_bar(description: str) -> Callable[[float], None]:
    """What to call with the share of one long work that is done, 0 to 1; moves a bar.

    Nothing is shown without `show_progress`. The bar goes away when all is done, so that the next one takes its place.
    """
    if not _shown:
        return lambda share: None
    bars = _shown[-1]
    if bars.console.is_terminal:
        task = bars.add_task(description, total=100)

        def move(share: float) -> None:
            bars.update(task, completed=int(100 * share), visible=share < 1)

        return move
    started = spoken = time.monotonic()

    def say(share: float) -> None:
        nonlocal spoken
        now = time.monotonic()
        if share > 0 and now - spoken >= SECONDS_BETWEEN_LINES:
            left = (now - started) / share * (1 - share)
            print(f"{description}: {100 * share:.0f} %, {left:.0f} s left", file=sys.stderr, flush=True)
            spoken = now

    return say


def _with_lines(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Where nothing can be redrawn (a log, a pipe), a line now and then."""
    started = spoken = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if done == total or now - spoken >= SECONDS_BETWEEN_LINES:
            left = (now - started) / done * (total - done)
            print(f"{description}: {done}/{total}, {left:.0f} s left", file=sys.stderr, flush=True)
            spoken = now


@contextmanager
def show_progress() -> Iterator["Progress"]:
    """Show the bars of every `track` inside the block on standard error, with the time left."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    console = Console(file=sys.stderr)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        _shown.append(bars)
        try:
            yield bars
        finally:
            _shown.remove(bars)
