"""Group `latents`: audio as the numbers the model works on, one asset a stream."""

import time
from typing import TYPE_CHECKING, Any

import dagster as dg

from audiobuff_assets.columns import LATENTS, columns
from audiobuff_assets.results import OWNERS, TAGS, key, materialized
from resources.automation import when_inputs_change
from resources.code_version import code_version
from resources.encoder_suite import EncoderSuite
from resources.partitions import SHARDS
from resources.retries import RETRIES, retried
from resources.storage import Storage

if TYPE_CHECKING:
    from audiobuff_core.data.extraction import Stream

STREAMS: dict["Stream", str] = {
    "target": "Latents of the clean and of the damaged audio, which the model learns to connect.",
    "structure": "Pitch, rhythm and level of the damaged audio, 50 times a second.",
    "semantic": "What the damaged audio sounds like, a few times a second.",
}
FRAMES_SHOWN = 256


def latents_asset(stream: "Stream") -> dg.AssetsDefinition:
    """The asset of one stream."""

    @dg.asset(
        key=key(f"latents/{stream}"),
        metadata=columns(LATENTS),
        group_name="latents",
        deps=[key("audio/pristine"), key("audio/degraded")],
        partitions_def=SHARDS,
        pool="gpu",
        kinds={"pytorch", "zarr"},
        code_version=code_version("audiobuff_core.data.extraction"),
        description=(
            f"{STREAMS[stream]}\n\n**One partition** is a shard; the encoder is chosen by the resource `encoders` and "
            f"named in the metadata.\n\n**Bytes**: `latents/{stream}/<encoder>/<content>/`, a Zarr v3 group, sealed by "
            "a manifest that is written last and refused without it.\n\n"
            "**Guarded by** `latents_finite` and `pairs_complete` (both block)"
            + (", `round_trip_quality`." if stream == "target" else ".")
        ),
        owners=OWNERS,
        tags=TAGS,
        automation_condition=when_inputs_change(),
        retry_policy=RETRIES,
    )
    @retried
    def latents(
        context: dg.AssetExecutionContext, encoders: EncoderSuite, storage: Storage
    ) -> dg.MaterializeResult[Any]:
        from audiobuff_assets.pictures import shard_picture
        from audiobuff_core.data.extraction import extract_shard

        begin = time.perf_counter()
        made = extract_shard(storage.url, context.partition_key, stream, encoders=encoders.choice())
        seconds = time.perf_counter() - begin
        picture = {}
        if made.record_ids:
            first = made.record_ids[0]
            values = made.read(first, 0, min(FRAMES_SHOWN, made.frames_of(first)))
            picture["picture"] = shard_picture({f"values of {first[:32]}": values.ravel().tolist()}, {})
        return materialized(
            context,
            made,
            options=encoders.options(),
            metadata={
                "records": len(made.record_ids),
                "frames": sum(made.frames_of(record) for record in made.record_ids),
                "encoder": made.encoder.key,
                "codec": encoders.codec,
                "throughput/records_per_second": len(made.record_ids) / max(seconds, 1e-6),
                **picture,
            },
        )

    return latents


target, structure, semantic = (latents_asset(stream) for stream in STREAMS)
