"""Every shell and Python block of README.md, CONTRIBUTING.md and docs/ runs as it is printed, or says why it does not.

Blocks of a page run one after the other in a folder of their own, in which there are the recordings of `here`. A block
that is not run has a reason above it, `<!-- not run: REASON -->`; the commands in it, and those within the text, must
still be ones that the command line understands. Commands run in this process, which is why only our own do. A block
with a title, such as ```toml title="mine.toml", is a file of that name.
"""

import contextlib
import itertools
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from audiobuff_assets import cli
from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.commands import chosen_model
from audiobuff_core.data import prepare_latents
from audiobuff_core.degradation.faults import clipping, hum
from audiobuff_core.inference import generate, in_the_box
from audiobuff_core.training import cli as training

PROJECT = Path(__file__).parents[2]
PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted(PROJECT.glob("docs/*.md"))]
SHELL, PYTHON = "bash", "python"
# What a block may be in besides: shown, not run.
SHOWN = {"text", "toml", "yaml", "json", "mermaid"}
MODULES = {
    "audiobuff_core.data.prepare_latents": prepare_latents,
    "audiobuff_core.inference.generate": generate,
    "audiobuff_core.training": training,
}
_FENCE = re.compile(r"^( *)```(\w*)(?: title=\"([^\"]+)\")?\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_REASON = re.compile(r"<!-- not run: (.+?) -->\s*\Z", re.DOTALL)
_INLINE = re.compile(r"`([^`\n]*\baudiobuff [^`\n]*)`")


@dataclass(frozen=True)
class Block:
    """A fenced block; `title` is a file's name, if it is one; `reason` says why it is not run, if it is not."""

    line: int
    language: str
    title: str
    code: str
    reason: str


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    found = []
    for match in _FENCE.finditer(text):
        reason = _REASON.search(text[: match.start()])
        code = re.sub(rf"^{match[1]}", "", match[4], flags=re.MULTILINE)
        line = text[: match.start()].count("\n") + 1
        found.append(Block(line, match[2], match[3] or "", code, " ".join(reason[1].split()) if reason else ""))
    return found


def commands_of(code: str) -> Iterator[list[str]]:
    """The words of each command of a shell block, without comments."""
    for line in code.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def ours(words: list[str]) -> list[str] | None:
    """The arguments of `audiobuff` in a command, whatever starts it; None if it is another command."""
    while words and (re.fullmatch(r"[A-Z_]+=.*", words[0]) or words[0] in ("uv", "run", "nohup")):
        words = words[1:]
    if not words or words[0] != "audiobuff":
        return None
    return list(itertools.takewhile(lambda word: word not in (">", "|"), words[1:]))


def run(words: list[str], where: str) -> None:
    """Run one of our own commands in this process, and expect that it succeeds."""
    arguments = ours(words)
    if arguments is not None:
        assert cli.main(arguments) == 0, where
    elif words[:2] == ["python", "-m"] and words[2] in MODULES:
        assert MODULES[words[2]].main(words[3:]) == 0, where
    else:
        pytest.fail(f"{where}: {words[0]} is none of our commands: write <!-- not run: REASON --> above the block")


def parse(arguments: list[str], where: str) -> None:
    """Expect that the command line understands `arguments`; the name of a command alone is one too."""
    if len(arguments) == 1:
        arguments = [*arguments, "--help"]
    with contextlib.suppress(SystemExit):
        cli.parser().parse_args(arguments)
        return
    assert "--help" in arguments or "--version" in arguments, f"{where}: {shlex.join(arguments)}"


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Waveform]:
    """A damaged interview, as it were: a bundled recording with hum and cut-off peaks; and ten chords to train on."""
    sound = read_audio(PROJECT / "audiobuff_assets/corpus/loop_weirdo.flac")
    parameters = {
        "mains_hz": 50.0, "offset_share": 0.0, "drift_share": 0.0, "drift_hz": 0.1, "num_harmonics": 8,
        "level_dbfs": -26.0,
    }  # fmt: skip
    generator = np.random.default_rng(0)
    humming = hum.apply(sound.samples, sound.sample_rate, parameters, generator)
    clipped = clipping.apply(humming, sound.sample_rate, {"mode": "peak", "peak_divisor": 2.0}, generator)
    seconds = np.arange(24_000) / 24_000
    made = {"interview.wav": Waveform(clipped.astype(np.float32), sound.sample_rate)}
    for index in range(10):
        chord = sum(np.sin(2 * np.pi * 110 * 2 ** ((index + step) / 12) * seconds) for step in (0, 4, 7))
        made[f"music/chord_{index}.flac"] = Waveform((0.2 * chord[None]).astype(np.float32), 24_000)
    return made


@pytest.fixture
def here(recordings: dict[str, Waveform], export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with `interview.wav`, `tapes/` with two like it, `music/` with ten recordings, and `model/`."""
    for name, waveform in recordings.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_audio(tmp_path / name, waveform)
    (tmp_path / "tapes").mkdir()
    for name in ("side_a.wav", "side_b.wav"):
        (tmp_path / "tapes" / name).write_bytes((tmp_path / "interview.wav").read_bytes())
    shutil.copytree(export, tmp_path / "model")
    # The one in the box is a hundred times its size.
    for module in (chosen_model, in_the_box):
        monkeypatch.setattr(module, "in_the_box", lambda: "model")
    monkeypatch.chdir(tmp_path)
    for variable in ("DAGSTER_HOME", "AUDIOBUFF_ROOT", "AUDIOBUFF_INCOMING", "AUDIOBUFF_WEIGHTS"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
@pytest.mark.usefixtures("here")
def test_blocks_run(page: Path) -> None:
    names: dict = {"__name__": "documentation"}
    for block in blocks_of(page):
        where = f"{page.name}:{block.line}"
        if block.title:
            Path(block.title).write_text(block.code)
        elif block.reason or block.language not in (SHELL, PYTHON):
            continue
        elif block.language == PYTHON:
            exec(compile(block.code, where, "exec"), names)
        else:
            for words in commands_of(block.code):
                run(words, where)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_not_run_is_at_least_understood(page: Path) -> None:
    for block in blocks_of(page):
        assert block.language in {SHELL, PYTHON, *SHOWN}, f"{page.name}:{block.line}: ```{block.language}"
        if not (block.reason and block.language == SHELL):
            continue
        for words in commands_of(block.code):
            for part in " ".join(map(shlex.quote, words)).split("'&&'"):
                if arguments := ours(shlex.split(part)):
                    parse(arguments, f"{page.name}:{block.line}")
    text = _FENCE.sub("", page.read_text())
    for command in _INLINE.findall(text):
        if "..." not in command and (arguments := ours(shlex.split(command))):
            parse(arguments, page.name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", _FENCE.sub("", page.read_text()))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", ["README.md", "docs/repair.md"])
def test_pages_say_whether_there_is_a_model_in_the_box(page: str) -> None:
    says_no = "no model in the box yet" in " ".join((PROJECT / page).read_text().split())
    assert says_no == (in_the_box.in_the_box() is None), f"{page}: a model is in the box, or it is not"
