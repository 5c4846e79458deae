"""The small networks that most tests of restoration use, and the scripts under `corpus/`."""

import importlib.util
import sys
from pathlib import Path

import pytest
from small_models import changing_model, export, restorer  # noqa: F401 - fixtures

CORPUS = Path(__file__).parents[2] / "corpus"


@pytest.fixture(scope="session")
def corpus_script():
    """The module of a script, by its name."""

    def load(name):
        spec = importlib.util.spec_from_file_location(f"corpus_{name}", CORPUS / f"{name}.py")
        # Dataclasses look up the module that they are in.
        sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    sys.path.insert(0, str(CORPUS))  # as Python does where a script is run
    yield load
    sys.path.remove(str(CORPUS))
