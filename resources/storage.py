"""Where everything lies: one root, a folder or any fsspec URL."""

import os
from pathlib import Path

import dagster as dg
from pydantic import Field

from audiobuff_core.files import is_local, local_path

ROOT_VARIABLE = "AUDIOBUFF_ROOT"
DEFAULT_ROOT = ".dagster/data"


def storage_root(configured: str = "") -> str:
    """`configured`, else the variable AUDIOBUFF_ROOT, else `.dagster/data`; local paths are made absolute."""
    root = configured or os.environ.get(ROOT_VARIABLE, "") or DEFAULT_ROOT
    return str(Path(local_path(root)).absolute()) if is_local(root) else root.rstrip("/")


class Storage(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The root of all data."""

    root: str = Field(
        default="",
        description="Folder or fsspec URL. Empty: the variable AUDIOBUFF_ROOT, else .dagster/data in this folder.",
    )

    @property
    def url(self) -> str:
        """The root in use."""
        return storage_root(self.root)
