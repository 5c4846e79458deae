"""What the demo prints in the end."""

from typing import TYPE_CHECKING

from audiobuff_assets.options import DemoOptions
from audiobuff_assets.summary import IN_THE_BOX, Summary
from audiobuff_core.evaluation.held_out import MAIN_KIND

if TYPE_CHECKING:
    from rich.table import Table

METRICS = {"lsd_db": "LSD dB, less is better", "si_sdr_db": "SI-SDR dB, more is better"}
MEANINGS = {
    "degraded": "degraded (floor)",
    "restored": "restored",
    IN_THE_BOX: "by the model in the box",
    "ceiling": "ceiling (codec)",
}


def print_ending(summary: Summary, options: DemoOptions) -> None:
    """The table, where things lie, and the command that opens the lineage."""
    from rich.console import Console

    console = Console(soft_wrap=True)
    console.print(_table(summary))
    folder = options.publish_folder
    console.print(f"Report      {folder / 'report.html'}", highlight=False)
    console.print(f"Audio       {folder / 'audio'}", highlight=False)
    console.print(f"Checkpoint  {folder / 'checkpoint'}", highlight=False)
    console.print(f"Summary     {folder / 'summary.json'}", highlight=False)
    console.print(f"Everything  {options.home}", highlight=False)
    opening = "uv run audiobuff dev" + ("" if options.out is None else f" --home {options.home}")
    console.print(f"\nOpen this lineage in the browser:  [bold]{opening}[/bold]", highlight=False)


def _table(summary: Summary) -> "Table":
    from rich.table import Table

    table = Table(title=f"{summary.num_clips} unseen clips damaged by the recipe '{MAIN_KIND}', means")
    table.add_column("")
    for title in METRICS.values():
        table.add_column(title, justify="right")
    for row in (row for row in MEANINGS if summary.table[row]):
        table.add_row(MEANINGS[row], *(f"{summary.table[row][metric]:.2f}" for metric in METRICS))
    gains = [summary.gains[metric] for metric in METRICS]
    table.add_section()
    table.add_row("gain [95 %]", *(f"{gain['mean']:.2f} [{gain['low']:.2f}, {gain['high']:.2f}]" for gain in gains))
    return table
