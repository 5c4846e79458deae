"""In tests, and only there, the array shapes in the signatures of the mathematics are checked at every call."""

import os

from jaxtyping import install_import_hook

# The tests run in as many processes as there are cores: a network that asks for all of them too only waits.
os.environ.setdefault("OMP_NUM_THREADS", "1")

install_import_hook(["audiobuff_core.flow", "audiobuff_core.models"], "beartype.beartype")
