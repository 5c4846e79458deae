"""Trying again, where that can help: a store that is out for a moment, not an option that makes no sense."""

import traceback
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import dagster as dg

from audiobuff_core.errors import AudioBuffError, OutputNotWritable
from resources.redaction import redacted

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

RETRIES = dg.RetryPolicy(max_retries=2, delay=3.0, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""After about 3 and 9 seconds; what is finished is kept, so only the rest is done again."""

HOPELESS = (ImportError, NameError, TypeError, AttributeError, AssertionError, NotImplementedError)
"""What comes again just the same: a package that is missing, and faults of the code."""


def retried(body: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """An asset's body whose foreseen and hopeless errors fail its step at once, in a line; others are tried again.

    What holds a credential comes without it, and without what caused it.
    """

    @wraps(body)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return body(*args, **kwargs)
        except (dg.Failure, dg.RetryRequested):
            raise
        except Exception as error:
            is_ours = isinstance(error, AudioBuffError)
            # A full or absent store may come back.
            is_hopeless = isinstance(error, HOPELESS) or (is_ours and not isinstance(error, OutputNotWritable))
            # Dagster keeps causes too, such as the error of a store that names its address.
            is_secret = any(redacted(line) != line for line in traceback.format_exception(error))
            if not is_hopeless and not is_secret:
                raise
            said = redacted(str(error) if is_ours else f"{type(error).__name__}: {error}")
            raise dg.Failure(said, allow_retries=not is_hopeless) from (None if is_secret else error)

    return run
