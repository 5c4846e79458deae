"""Progress of long work, shown by whoever runs it: `track` in the library, `show_progress` in a command line.

Nothing is printed unless `show_progress` is active, so the library stays quiet under Dagster and in tests.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

Item = TypeVar("Item")

_shown: list["Progress"] = []


def track(items: Sequence[Item] | Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Yield `items`, moving a bar named `description` if one is shown; `total` where `items` has no length."""
    if not _shown:
        yield from items
        return
    count = total if total is not None else len(items)  # type: ignore[arg-type]
    bars = _shown[-1]
    task = bars.add_task(description, total=count)
    for item in items:
        yield item
        bars.advance(task)
    if not bars.console.is_terminal:
        bars.console.print(f"{description}: {count} done")


@contextmanager
def show_progress(**options: Any) -> Iterator["Progress"]:  # noqa: ANN401 - rich's own options
    """Show the bars of every `track` inside the block on standard error, with the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=sys.stderr), **options) as bars:
        _shown.append(bars)
        try:
            yield bars
        finally:
            _shown.remove(bars)
