"""`audiobuff dev`: Dagster's browser on the demo's instance."""

import os
import socket
import sys
from pathlib import Path

from audiobuff_assets.corpus_files import corpus_folder
from audiobuff_core.errors import AudioNotFound, InvalidConfig
from audiobuff_core.files import is_local, local_path, write_json
from jobs.failures import BROWSER_VARIABLE
from jobs.registration import find_arrivals, record_arrivals
from resources.automation import (
    INCOMING_VARIABLE,
    is_on,
    retraining_times,
    settle_seconds,
    tick_seconds,
    tracks_per_shard,
)
from resources.environments import environment_resources
from resources.inbox import INBOX_VARIABLE
from resources.instance import open_instance, prepare_home
from resources.presets import CHAMPION, START_VARIABLE, chosen_device, chosen_preset, chosen_processes
from resources.process_tree import supervise
from resources.storage import ROOT_VARIABLE, storage_root

LOCATION = {"module_name": "audiobuff_assets.definitions", "location_name": "audiobuff"}


def run_dev(home: Path, port: int) -> int:
    """Register the bundled recordings in `home` and run `dagster dev` on it; its exit code.

    Raises:
        OutputNotWritable: `home` can't be written.
        AudioNotFound: the folder to watch is none; a URL may be empty as yet, and is looked at by the sensor.
        InvalidConfig: a variable has a value that the definitions would refuse, or the port can't be had.
    """
    for read in (is_on, retraining_times, settle_seconds, tracks_per_shard, chosen_preset, chosen_device):
        read()
    tick_seconds(1)
    chosen_processes()
    environment_resources()
    watched = os.environ.get(INCOMING_VARIABLE, "")
    if watched and is_local(watched) and not local_path(watched).expanduser().is_dir():
        raise AudioNotFound(f"{INCOMING_VARIABLE} is {watched}, which is no folder: name one with recordings")
    for variable in (INCOMING_VARIABLE, ROOT_VARIABLE, INBOX_VARIABLE, START_VARIABLE):
        place = os.environ.get(variable, "")
        if place and place != CHAMPION and is_local(place):  # Dagster works in another folder
            os.environ[variable] = str(local_path(place).expanduser().absolute())
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except (OSError, OverflowError) as error:
        said = getattr(error, "strerror", None) or error
        raise InvalidConfig(f"--port is {port}, which can't be had ({said}): name a free one by --port") from error
    home = prepare_home(home, root=os.environ.get(ROOT_VARIABLE))
    if not watched:
        with open_instance(home) as instance:
            record_arrivals(instance, find_arrivals(instance, storage_root(), corpus_folder(), bundled=True))
    workspace = home / "workspace.yaml"
    write_json(workspace, {"load_from": [{"python_module": {**LOCATION, "working_directory": str(home)}}]})
    os.environ[BROWSER_VARIABLE] = os.environ.get(BROWSER_VARIABLE, "") or f"http://127.0.0.1:{port}"
    print(f"The lineage will be at http://127.0.0.1:{port}/asset-groups (Ctrl-C ends it)", flush=True)
    os.chdir(home)  # else Dagster warns that a dagster.yaml of the checkout is not used
    command = [sys.executable, "-m", "dagster", "dev", "--workspace", str(workspace), "--port", str(port)]
    # Runs, and what they are forked from, see that the daemon is gone and save first. Dagster itself may take a minute
    # to end: it waits for open pages and for sensors that are just looking.
    return supervise(command, spared="multiprocessing")
