"""`python memory_of.py ENCODER WEIGHTS SECONDS`: encode so much stereo, decode it again where that can be done, and
print the largest amount of memory that the process had, in MiB.
"""

import re
import sys
from pathlib import Path

import numpy as np

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs.registry import load_codec, load_feature_encoder

name, weights, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3])
generator = np.random.default_rng(0)
recording = np.empty((2, seconds * 44_100), np.float32)
for channel in recording:
    generator.standard_normal(out=channel, dtype=np.float32)
    channel *= 0.1
waveform = Waveform(recording, 44_100)
if name.startswith("dac"):
    codec = load_codec(f"{name}:{weights}")
    frames = codec.encode(waveform)
    codec.to_stored(frames.values)
    codec.decode(frames, waveform.num_samples)
else:
    encoder = load_feature_encoder("structure" if name == "xcodec" else "semantic", f"{name}:{weights}")
    encoder.to_stored(encoder.encode(waveform).values)
# Not getrusage: its figure starts at what the process had that started this one.
print(int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) // 1024)
