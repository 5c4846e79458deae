"""`audiobuff doctor`: what is usable here, and what to do for the rest."""

import argparse
import json
import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from audiobuff_core.codecs.registry import CODECS, SIDE_STREAMS, load_codec, load_feature_encoder
from audiobuff_core.codecs.weights import PUBLISHED, weights_root, weights_state
from audiobuff_core.errors import AudioBuffError, EncoderUnavailable
from audiobuff_core.files import is_local, local_path

# encoder -> (option, packages)
_ENCODERS: Final = {
    "dac": ("--codec", ("dac", "transformers")),
    "dac-24khz": ("--codec", ("dac", "transformers")),
    "dac-16khz": ("--codec", ("dac", "transformers")),
    "xcodec": ("--structure", ("transformers",)),
    "audiomae": ("--semantic", ("timm",)),
}
_PIP_NAMES: Final = {"dac": "descript-audio-codec"}
GIB: Final = 1 << 30


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `doctor` to the command line."""
    made = commands.add_parser(
        "doctor",
        help="say which encoders are usable here, where their weights are, and what this machine has",
        description="Look at encoders, weights, devices, cores and disk, and say what to do for what is missing.",
        epilog="examples:\n  audiobuff doctor\n  audiobuff doctor --json | jq .machine",
    )
    made.add_argument("--json", action="store_true", help="for a program")
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    made.set_defaults(run=lambda arguments: run_doctor(as_json=arguments.json))


def examine() -> dict[str, Any]:
    """Facts for a program: `encoders` by name, `weights_folder`, `machine`."""
    encoders: dict[str, Any] = {
        "builtin": {
            "usable": True,
            "option": "--codec --structure --semantic",
            "packages": {},
            "weights": None,
            "fix": None,
        }
    }
    for name, (option, packages) in _ENCODERS.items():
        encoders[name] = _encoder(name, option, packages)
    for option, registered in (("codec", CODECS), *SIDE_STREAMS.items()):
        # `-summed` is another space of the same weights.
        encoders |= {n: _loaded(n, option) for n in registered if n.removesuffix("-summed") not in encoders}
    return {"encoders": encoders, "weights_folder": weights_root(), "machine": _machine()}


def _encoder(name: str, option: str, packages: tuple[str, ...]) -> dict[str, Any]:
    installed = {package: find_spec(package) is not None for package in packages}
    fixes = []
    try:
        place, is_there = weights_state(name)
    except EncoderUnavailable as error:
        place, is_there = "", False
        fixes.append(str(error))
    # Either of DAC's packages will do for its own kind of file; a folder is transformers', a file descript's.
    needed = packages if len(packages) == 1 else ("transformers",) if Path(place).is_dir() else ("dac",)
    missing = [_PIP_NAMES.get(package, package) for package in needed if not installed[package]]
    if missing:
        fixes.insert(0, f"pip install {' '.join(missing)}")
    if place and not is_there:
        fixes.append(f"audiobuff fetch-weights {name}, or {PUBLISHED[name].variable}=PATH")
    return {
        "usable": not fixes,
        "option": option,
        "packages": installed,
        "weights": place if is_there else None,
        "fix": "; ".join(fixes) or None,
    }


def _loaded(name: str, option: str) -> dict[str, Any]:
    """Of an encoder of which only the registry knows, such as a module of the user's: it is usable if it loads."""
    fix = None
    try:
        if option == "codec":
            load_codec(name)
        else:
            load_feature_encoder(option, name)  # type: ignore[arg-type]  # of the streams' names
    except Exception as error:  # a user's own code may raise anything, and what it is has to be told
        shown = " ".join(str(error).split())
        fix = (
            shown if isinstance(error, AudioBuffError) else f"{name} can't be loaded ({type(error).__name__}: {shown})"
        )
    return {"usable": fix is None, "option": f"--{option}", "packages": {}, "weights": None, "fix": fix}


def _machine() -> dict[str, Any]:
    import psutil
    import torch

    root = weights_root()
    folder = local_path(root).expanduser() if is_local(root) else Path.cwd()
    while not folder.exists():
        folder = folder.parent
    has_cuda = torch.cuda.is_available()
    devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())] if has_cuda else []
    if torch.backends.mps.is_available():
        devices.append("Apple GPU (mps)")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "devices": ["cpu", *devices],
        "precision": "bfloat16" if has_cuda and torch.cuda.is_bf16_supported() else "float32",
        "cores": cores,
        "memory_gib": round(psutil.virtual_memory().total / GIB, 1),
        "disk_free_gib": round(shutil.disk_usage(folder).free / GIB, 1),
        "torch": torch.__version__,
    }


def run_doctor(*, as_json: bool = False) -> int:
    """Print what `examine` found; 0, as the built-in encoders always work."""
    found = examine()
    print(json.dumps(found, indent=1) if as_json else _text(found))
    return 0


def _text(found: dict[str, Any]) -> str:
    lines = ["Encoders"]
    for name, facts in found["encoders"].items():
        state = "usable" if facts["usable"] else "not usable"
        lines.append(f"  {name:<13} {state:<11} {facts['weights'] or ''}".rstrip())
        if facts["fix"]:
            lines.append(f"                do: {facts['fix']}")
    machine = found["machine"]
    lines += [
        f"Weights folder  {found['weights_folder']}",
        f"Devices         {', '.join(machine['devices'])} ({machine['precision']}), torch {machine['torch']}",
        f"Cores, memory   {machine['cores']}, {machine['memory_gib']} GiB",
        f"Disk free       {machine['disk_free_gib']} GiB",
    ]
    return "\n".join(lines)
