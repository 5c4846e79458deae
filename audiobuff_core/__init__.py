"""AudioBuff's core: the restoration library, without Dagster.

`from audiobuff_core import Restorer` restores arrays; torch is loaded when that name is asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiobuff_core.inference.restorer import Restorer

__version__ = "0.1.0"
__all__ = ["Restorer", "__version__"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562
    if name == "Restorer":
        from audiobuff_core.inference.restorer import Restorer

        return Restorer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
