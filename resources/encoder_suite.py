"""Which encoders make latents: the same three options everywhere."""

from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from resources.presets import chosen_encoder

if TYPE_CHECKING:
    from audiobuff_core.codecs.registry import EncoderChoice


class EncoderSuite(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The three encoders by name."""

    codec: str = Field(
        default=chosen_encoder("codec"), description="Audio codec: its latents are what the model restores."
    )
    structure: str = Field(default=chosen_encoder("structure"), description="Encoder of pitch, rhythm and level.")
    semantic: str = Field(default=chosen_encoder("semantic"), description="Encoder of what the sound is.")

    def choice(self) -> "EncoderChoice":
        """The choice as the core takes it."""
        from audiobuff_core.codecs.registry import EncoderChoice

        return EncoderChoice(codec=self.codec, structure=self.structure, semantic=self.semantic)

    def options(self) -> dict[str, str]:
        """The names, for a fingerprint or metadata."""
        return {"codec": self.codec, "structure": self.structure, "semantic": self.semantic}
