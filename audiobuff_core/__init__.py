"""AudioBuff's core: the restoration library, without Dagster.

`from audiobuff_core import Restorer` restores arrays; torch is loaded when that name is asked for.
"""

import os
from typing import TYPE_CHECKING, Any

# Read by torch at its first tensor: memory in pages of 2 MB where Linux has them. Networks ask for hundreds of MB and
# give them back all the time, and zeroing small pages takes a quarter of the time of DAC's encoder. 0 turns it off.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

if TYPE_CHECKING:
    from audiobuff_core.inference.restorer import Restorer

__version__ = "0.1.0"
__all__ = ["Restorer", "__version__"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562
    if name == "Restorer":
        from audiobuff_core.inference.restorer import Restorer

        return Restorer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
