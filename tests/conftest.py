"""In tests, and only there, the array shapes in the signatures of the mathematics are checked at every call."""

import os
import signal

from jaxtyping import install_import_hook

# The tests run in as many processes as there are cores: a network that asks for all of them too only waits.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What a shell starts in the background ignores interrupts, and hands that down: here they are tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

install_import_hook(["audiobuff_core.flow", "audiobuff_core.models"], "beartype.beartype")
