"""All commands of `audiobuff` explain themselves, end and name things in the same way."""

import argparse
import importlib
import os
import subprocess
import sys

import pytest

import audiobuff_core
from audiobuff_assets import cli
from audiobuff_core.command_parser import EXIT_WRONG_USAGE

COMMANDS = next(
    action.choices for action in cli.parser()._actions if isinstance(action, argparse._SubParsersAction)
)  # fmt: skip


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_teaches_by_examples_that_parse(name, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "examples:\n" in said
    assert f"\n  audiobuff {name}" in said
    assert "--debug" in said
    assert "HelpFormatter" not in said


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_what_is_no_option_is_wrong_usage(name, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--nonesuch"])
    assert ended.value.code == EXIT_WRONG_USAGE
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("audiobuff")
    assert said.endswith("--help`")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_has_a_help_and_no_two_spellings(name):
    options = [action for action in COMMANDS[name]._actions if action.help is not argparse.SUPPRESS]
    assert [action.dest for action in options if not action.help] == []
    spelled = [option.replace("_", "-") for action in options for option in action.option_strings]
    assert len(set(spelled)) == len(spelled)


def test_hyphens_and_underscores_are_the_same():
    parse = cli.parser().parse_args
    assert parse(["train", "--dry-run", "--batch-size=3"]) == parse(["train", "--dry_run", "--batch_size=3"])
    assert parse(["restore", "a", "-o", "b", "--keep_below", "9"]) == parse(
        ["restore", "a", "--out", "b", "--keep-below", "9"]
    )
    assert parse(["restore", "-o", "b", "--", "--dry_run"]).inputs == ["--dry_run"]


@pytest.mark.parametrize("module", ["inference.generate", "training.cli", "data.prepare_latents"])
def test_the_originals_commands_tell_wrong_usage_in_one_line_too(module, capsys):
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"audiobuff_core.{module}").parser().parse_args(["--nonesuch"])
    assert ended.value.code == EXIT_WRONG_USAGE
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("python -m audiobuff_core.")


@pytest.mark.parametrize(
    ("word", "unbuffered"),
    [
        pytest.param("doctor", "", marks=pytest.mark.slow),
        pytest.param("doctor", "1", marks=pytest.mark.slow),
        ("--help", ""),
    ],
)
def test_a_reader_that_goes_away_ends_the_command_quietly(word, unbuffered):
    command = subprocess.Popen(
        [sys.executable, "-m", "audiobuff_assets.cli", word],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
    )
    assert command.stdout is not None
    command.stdout.close()
    assert command.communicate()[1] == b""
    assert command.returncode == cli.EXIT_UNREAD


def test_nothing_at_all_shows_the_help(capsys):
    assert cli.main([]) == EXIT_WRONG_USAGE
    said = capsys.readouterr().err
    assert all(f"\n    {name}" in said for name in COMMANDS)
    assert "exit codes: 0" in said


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"audiobuff {audiobuff_core.__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_shells_complete_all_commands_and_files(shell, capsys):
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(name in script for name in COMMANDS)
    assert "--keep-below" in script
    assert {"bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f"}[shell] in script
