"""Where commands run."""

import pytest


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, which is the working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def model(export):
    """The options that name a small model of random weights."""
    return ["--checkpoint", str(export)]
