"""The small networks that most tests of restoration use."""

from small_models import changing_model, export, restorer  # noqa: F401 - fixtures
