"""How a recipe says what a parameter may be: a number, a word, or a law to draw it by."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

Value = float | int | str
LAWS = ("uniform", "log_uniform", "integer", "choice")


@dataclass(frozen=True, slots=True)
class Distribution:
    """Where a value comes from.

    Attributes:
        law: `fixed`, `uniform`, `log_uniform`, `integer` (both ends included) or `choice`.
        values: the value; low and high; or what is chosen from.
        weights: of the choices, summing to 1; empty for equal ones.
        signed: the sign is drawn too.
    """

    law: str
    values: tuple[Value, ...]
    weights: tuple[float, ...] = ()
    signed: bool = False

    def draw(self, generator: np.random.Generator) -> Value:
        """A value; real ones rounded to five digits, which a reader of the table can use."""
        value = self._draw(generator)
        if self.signed and not isinstance(value, str) and generator.random() < 0.5:
            return -value
        return value

    def _draw(self, generator: np.random.Generator) -> Value:
        if self.law == "fixed":
            return self.values[0]
        if self.law == "choice":
            return self.values[int(generator.choice(len(self.values), p=list(self.weights) or None))]
        low, high = (float(value) for value in self.values)
        if self.law == "integer":
            return int(generator.integers(int(low), int(high) + 1))
        if self.law == "uniform":
            return round(float(generator.uniform(low, high)), 5)
        return round(math.exp(float(generator.uniform(math.log(low), math.log(high)))), 5)

    def extremes(self) -> tuple[Value, ...]:
        """The values that bound it: all choices, or both ends, with their signs."""
        if not self.signed:
            return self.values
        return tuple(sign * value for value in self.values if not isinstance(value, str) for sign in (1, -1))

    def in_words(self) -> str:
        """Short, for a list that a person reads."""
        sign = "+-" if self.signed else ""
        if self.law == "fixed":
            return f"{sign}{self.values[0]}"
        if self.law == "choice":
            return "|".join(str(value) for value in self.values)
        return f"{sign}{self.values[0]}..{self.values[1]}"


def parse_distribution(given: Any) -> tuple[Distribution | None, str]:  # noqa: ANN401 - what a TOML file holds
    """The distribution that a value of a TOML file describes and an empty string, or None and what is wrong with it."""
    if _is_value(given):
        return Distribution("fixed", (given,)), ""
    if not isinstance(given, dict):
        return None, f"{given!r} is neither a number, a word nor a law such as {{ uniform = [0, 1] }}"
    laws = [name for name in LAWS if name in given]
    extra = sorted(set(given) - {*LAWS, "weights", "signed"})
    if len(laws) != 1 or extra:
        return None, f"{_shown(given)}: expected exactly one of {', '.join(LAWS)}, with weights and signed at most"
    law, values = laws[0], given[laws[0]]
    if not isinstance(values, list) or not values or not all(_is_value(value) for value in values):
        return None, f"{_shown(given)}: expected a list of finite numbers or words"
    weights, signed = given.get("weights", []), given.get("signed", False)
    problem = _problem(law, values, weights, signed)
    if problem:
        return None, f"{_shown(given)}: {problem}"
    total = float(sum(weights))
    return Distribution(law, tuple(values), tuple(weight / total for weight in weights), signed), ""


def _problem(law: str, values: list[Any], weights: Any, signed: Any) -> str:  # noqa: ANN401
    words = any(isinstance(value, str) for value in values)
    if not isinstance(signed, bool) or (signed and words):
        return "signed is true or false, and words have no sign"
    if law == "choice":
        numbers = isinstance(weights, list) and all(_is_value(one) and not isinstance(one, str) for one in weights)
        if weights and (not numbers or len(weights) != len(values) or min(weights) < 0 or sum(weights) <= 0):
            return f"expected {len(values)} weights, none negative, not all zero"
        return ""
    if weights:
        return "weights go with choice alone"
    if len(values) != 2 or words:
        return "expected [lowest, highest]"
    if values[0] > values[1]:
        return f"lowest {values[0]} exceeds highest {values[1]}"
    if law == "log_uniform" and values[0] <= 0:
        return "a logarithmic law needs numbers above 0"
    if law == "integer" and not all(isinstance(value, int) for value in values):
        return "expected whole numbers"
    return ""


def _is_value(given: Any) -> bool:  # noqa: ANN401
    if isinstance(given, bool):
        return False
    return isinstance(given, str | int) or (isinstance(given, float) and math.isfinite(given))


def _shown(given: dict[str, Any]) -> str:
    return "{ " + ", ".join(f"{name} = {value}" for name, value in given.items()) + " }"
