"""In tests, and only there, the array shapes in the signatures of the mathematics are checked at every call."""

from jaxtyping import install_import_hook

install_import_hook(["audiobuff_core.flow", "audiobuff_core.models"], "beartype.beartype")
