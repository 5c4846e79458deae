"""The example of docs/adding-an-encoder.md, run as it is printed."""

import hashlib
import re
import sys
import types
from pathlib import Path

import pytest

from audiobuff_core.codecs import registry
from audiobuff_core.codecs.registry import load_feature_encoder
from audiobuff_core.errors import EncoderUnavailable

PAGE = Path(__file__).parents[3] / "docs/adding-an-encoder.md"
EXAMPLE: dict = {"__name__": "docs_example"}
for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
    exec(block, EXAMPLE)

TestLoudness = EXAMPLE["TestLoudness"]


def test_one_line_registers_it(monkeypatch):
    line = re.search(r'`"(\w+)": "([\w.]+):(\w+)"`', PAGE.read_text())
    assert line
    module = types.ModuleType(line[2])
    setattr(module, line[3], EXAMPLE[line[3]])
    monkeypatch.setitem(sys.modules, line[2], module)
    monkeypatch.setitem(registry.STRUCTURE_ENCODERS, line[1], f"{line[2]}:{line[3]}")
    assert load_feature_encoder("structure", "loudness").identity.name == "loudness"
    with pytest.raises(LookupError):
        load_feature_encoder("semantic", "loudness")


def test_one_with_weights_finds_them_or_names_the_fix(monkeypatch, tmp_path):
    load = EXAMPLE["load_loudness"]
    monkeypatch.setenv("AUDIOBUFF_WEIGHTS", str(tmp_path))
    with pytest.raises(
        EncoderUnavailable, match=r"fetch-weights somebody/loudness.*AUDIOBUFF_SOMEBODY_LOUDNESS_WEIGHTS"
    ):
        load()
    folder = tmp_path / "somebody--loudness"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_text("{}")
    assert load().identity == load(str(folder)).identity
    assert load().identity.weights_hash == hashlib.sha256(b"{}").hexdigest()
    monkeypatch.setenv("AUDIOBUFF_SOMEBODY_LOUDNESS_WEIGHTS", str(tmp_path / "elsewhere"))
    with pytest.raises(EncoderUnavailable, match="elsewhere"):
        load()
