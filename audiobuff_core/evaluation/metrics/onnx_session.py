"""Networks of other projects, as their wheels bring them."""

from pathlib import Path
from typing import Any


def one_thread_session(path: Path) -> Any:  # noqa: ANN401 - of an optional package
    """The network at `path` on the CPU with one thread: items are measured in processes of their own."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
