"""What one user may ask of a shared page."""

from dataclasses import dataclass

from audiobuff_core.errors import InvalidConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes and times, above 0.

    Attributes:
        max_megabytes: size of a recording.
        max_minutes: its length.
        most_waiting: recordings in the queue at once, of all users.
        keep_minutes: how long a result can be fetched.
    """

    max_megabytes: float = 200.0
    max_minutes: float = 20.0
    most_waiting: int = 16
    keep_minutes: float = 30.0

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            InvalidConfig: naming all that is wrong at once.
        """
        values = {name: getattr(self, name) for name in self.__slots__}
        wrong = [f"{name} {value:g}" for name, value in values.items() if not value > 0]
        if wrong:
            raise InvalidConfig(f"Limits {', '.join(wrong)}: expected more than 0 each")

    @property
    def max_bytes(self) -> int:
        """Size of a recording in bytes."""
        return round(self.max_megabytes * 1_000_000)
