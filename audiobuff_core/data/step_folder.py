"""A folder of files that one step makes: resumed file by file, and sealed by a manifest that is written last."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import fsspec

from audiobuff_core.errors import DataMissing
from audiobuff_core.files import delete, exists, join, read_json, write_json

MANIFEST = "manifest.json"
UNFINISHED = "unfinished.json"
ITEMS_BETWEEN_NOTES = 8


class StepFolder:
    """What is finished in `path`: items by file name, each with the `key` (digest) of all that decides its content.

    While a step works, `unfinished.json` names the finished items and there is no manifest, so a step that was killed
    goes on where it was, and what was made with other options is never mistaken for what is wanted.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.items: dict[str, dict[str, Any]] = {}
        self._noted = 0

    def sealed(self, inputs: str) -> dict[str, Any] | None:
        """The manifest, if it was made from `inputs` (a digest) and all of its files are there."""
        manifest = self._read(MANIFEST)
        if manifest is None or manifest["inputs"] != inputs or self._absent(manifest["items"]):
            return None
        return manifest

    def earlier(self) -> dict[str, dict[str, Any]]:
        """Items of what is there, finished or not, whose files are."""
        named: dict[str, dict[str, Any]] = {}
        for name in (MANIFEST, UNFINISHED):
            named |= (self._read(name) or {"items": {}})["items"]
        absent = self._absent(named)
        return {name: item for name, item in named.items() if name not in absent}

    def begin(self, wanted: Mapping[str, str]) -> None:
        """Open the folder for work; of what is there, keep the items whose name and key are in `wanted`.

        Files that an earlier manifest named and nobody wants now are removed.
        """
        earlier = self.earlier()
        self.items = {name: item for name, item in earlier.items() if wanted.get(name) == item["key"]}
        self._note()
        self._remove(MANIFEST)
        for name in earlier.keys() - wanted.keys():
            self._remove(name)

    @contextmanager
    def noting(self) -> Iterator["StepFolder"]:
        """Note what is finished when the block is left, even by an error or Ctrl-C."""
        try:
            yield self
        finally:
            self._note()

    def finish(self, name: str, item: dict[str, Any]) -> None:
        """Say that the file `name` is whole; `item` has its `key` and whatever the manifest should say of it."""
        self.items[name] = item
        if len(self.items) >= self._noted + ITEMS_BETWEEN_NOTES:
            self._note()

    def seal(self, inputs: str, more: Mapping[str, Any]) -> dict[str, Any]:
        """Write the manifest, with `more` in it, and return it."""
        manifest = {**more, "inputs": inputs, "items": self.items}
        write_json(join(self.path, MANIFEST), manifest)
        self._remove(UNFINISHED)
        return manifest

    def load(self, what: str, remedy: str) -> dict[str, Any]:
        """The manifest, whatever it was made from.

        Raises:
            DataMissing: there is none, or files that it names are gone; `what` and `remedy` go into the message.
        """
        manifest = self._read(MANIFEST)
        if manifest is None:
            raise DataMissing(f"No {what} at {self.path}: {remedy}")
        absent = self._absent(manifest["items"])
        if absent:
            raise DataMissing(f"{len(absent)} files of {what} are gone, such as {min(absent)}: {remedy}")
        return manifest

    def _read(self, name: str) -> dict[str, Any] | None:
        address = join(self.path, name)
        return dict(read_json(address)) if exists(address) else None

    def _note(self) -> None:
        write_json(join(self.path, UNFINISHED), {"items": self.items})
        self._noted = len(self.items)

    def _absent(self, names: Mapping[str, Any]) -> set[str]:
        filesystem, folder = fsspec.core.url_to_fs(self.path)
        filesystem.invalidate_cache()  # object stores remember listings
        present = {path.rsplit("/", 1)[-1] for path in filesystem.find(folder)} if filesystem.exists(folder) else set()
        return set(names) - present

    def _remove(self, name: str) -> None:
        delete(join(self.path, name))
