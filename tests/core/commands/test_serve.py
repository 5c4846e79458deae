"""`audiobuff serve`: what it can't do it says in one line; what it does is seen in tests/core/web and tests/e2e."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from audiobuff_assets import cli


def test_a_port_that_is_taken_is_one_line(export, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert cli.main(["serve", "--port", str(port), "--checkpoint", str(export)]) == 1
    said = capsys.readouterr().err
    assert f"Can't listen at 127.0.0.1:{port}" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("options", [["--max-mb", "0"], ["--keep-minutes", "-1"], ["--port", "99999"]])
def test_limits_that_make_no_sense_are_one_line(export, capsys, options):
    assert cli.main(["serve", *options, "--checkpoint", str(export)]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.slow
def test_it_serves_until_it_is_interrupted_and_leaves_nothing(export, tmp_path):
    command = [sys.executable, "-m", "audiobuff_assets.cli", "serve", "--port", "0", "--checkpoint", str(export)]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            told = [server.stdout.readline() for _ in range(2)]
            address = told[1].split()[1]
            with urllib.request.urlopen(address, timeout=60) as page:
                assert b"Repair a recording" in page.read()
            assert [path.name[:10] for path in tmp_path.iterdir()] == ["audiobuff-"]
            server.send_signal(signal.SIGINT)
            assert server.wait(timeout=60) in (0, 130)
        finally:
            server.kill()
    assert list(tmp_path.iterdir()) == []
