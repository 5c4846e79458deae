import numpy as np
import pytest
import torch
from contracts.codec import CodecContract, tone_and_noise
from small_networks import PUBLISHED_DAC, SMALL_DAC, save_descript, save_transformers
from torch import Tensor

from audiobuff_core.audio.loudness import loudness_lufs
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs.chunking import FRAMES_A_CHUNK, encode_chunked
from audiobuff_core.codecs.dac import DacCodec
from audiobuff_core.codecs.dac_layout import to_descript, to_transformers
from audiobuff_core.codecs.dac_network import load_dac_network
from audiobuff_core.codecs.frames import FrameSequence
from audiobuff_core.codecs.level import encode_like, loudness_gains
from audiobuff_core.codecs.snake import Snake


@pytest.mark.parametrize("package", ["descript", "transformers"])
@pytest.mark.parametrize("space", ["factorized", "summed"])
class TestDac(CodecContract):
    max_stored_error_db = -80.0

    @pytest.fixture
    def codec(self, networks, package, space):
        return DacCodec(networks[package], space=space)


def assert_parity(first: DacCodec, second: DacCodec, waveform: Waveform) -> None:
    gains = torch.ones(waveform.channels)
    codes = [codec.encode_codes(waveform, gains) for codec in (first, second)]
    assert torch.equal(*codes)
    assert len(codes[0].unique()) > 8  # not all the same
    samples = torch.from_numpy(waveform.samples)[:, None, : 40 * first.hop_length]
    with torch.no_grad():
        hidden = [codec._model.encoder(samples) for codec in (first, second)]
        torch.testing.assert_close(*hidden, rtol=0, atol=1e-4)
        projected = [codec._model.quantizer(hidden[0])[2] for codec in (first, second)]
        torch.testing.assert_close(*projected, rtol=0, atol=1e-4)
    frames = [codec.encode_at(waveform, gains) for codec in (first, second)]
    torch.testing.assert_close(frames[0].values, frames[1].values, rtol=0, atol=1e-4)
    decoded = [codec.decode(frames[0], waveform.num_samples).samples for codec in (first, second)]
    assert np.abs(decoded[0] - decoded[1]).max() < 1e-4
    assert np.abs(decoded[0]).max() > 1e-3


@pytest.mark.parametrize("space", ["factorized", "summed"])
def test_both_packages_give_the_same(networks, space):
    codecs = [DacCodec(networks[name], space=space) for name in ("descript", "transformers")]
    assert_parity(*codecs, tone_and_noise(16_077, 16_000, channels=2))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(PUBLISHED_DAC))
def test_both_packages_give_the_same_in_published_size(tmp_path, name):
    kwargs = PUBLISHED_DAC[name]
    state = save_descript(tmp_path / "weights.pth", kwargs)
    save_transformers(tmp_path / "hub", kwargs, state)
    codecs = [DacCodec(load_dac_network(tmp_path / place)) for place in ("weights.pth", "hub")]
    assert [codec.hop_length for codec in codecs] == [{"dac": 512}.get(name, 320)] * 2
    assert codecs[0].latent_dim == 8 * kwargs["n_codebooks"]
    assert DacCodec(load_dac_network(tmp_path / "hub"), space="summed").latent_dim == 1024
    assert_parity(*codecs, tone_and_noise(2 * kwargs["sample_rate"] + 5, kwargs["sample_rate"]))


def test_the_packages_own_forward_agrees(networks):
    codec = DacCodec(networks["descript"])
    waveform = tone_and_noise(9999, 16_000)
    with torch.no_grad():
        out = codec._model(torch.from_numpy(waveform.samples)[None], 16_000)
    codes = codec.encode_codes(waveform, torch.ones(1))
    inner = slice(0, 200)  # the last frames see our padding, a hop longer, as an odd stride needs it
    assert torch.equal(codes[0, inner].T, out["codes"][0, :, inner])
    summed = codec.geometry.to_summed(codec.from_codes(codes))
    torch.testing.assert_close(summed[0, inner].T, out["z"][0, :, inner], rtol=0, atol=1e-5)
    decoded = codec.decode(codec.encode_at(waveform, torch.ones(1)), waveform.num_samples).samples
    np.testing.assert_allclose(decoded[0, :7000], out["audio"][0, 0, :7000].numpy(), atol=1e-4)


def test_the_converter_is_its_own_inverse(places):
    back = to_transformers(to_descript(to_transformers(places["state"])))
    for name, value in to_transformers(places["state"]).items():
        torch.testing.assert_close(back.pop(name), value, rtol=1e-6, atol=1e-7)
    assert not back
    assert set(to_descript(to_transformers(places["state"]))) == set(places["state"])


def test_weight_norm_is_folded(networks):
    for network in networks.values():
        assert not [name for name, _ in network.model.named_parameters() if name.endswith(("_g", "_v"))]


def test_the_lean_activation_is_the_packages(places, networks):
    from dac.nn.layers import Snake1d

    for network in networks.values():
        assert {type(layer) for layer in network.model.modules() if "Snake" in type(layer).__name__} == {Snake}
    theirs = Snake1d(6)
    theirs.alpha.data.uniform_(0.5, 2.0, generator=torch.Generator().manual_seed(0))
    x = torch.randn(2, 6, 1000, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(Snake(theirs.alpha)(x), theirs(x), rtol=0, atol=2e-6)


def test_hop_comes_from_the_model(networks):
    assert networks["descript"].hop_length == networks["transformers"].hop_length == 40
    assert DacCodec(networks["descript"])._shortfall == 8  # the odd stride's one sample, times 4 x 2


def tie_width(codec: DacCodec, hidden: Tensor, codes: Tensor, others: Tensor) -> float:
    """By how much nearer to a frame the nearest entry is than the one chosen instead, at most, in cosines.

    Args:
        codec: with the codebooks.
        hidden: what the encoder gave, [width, frames].
        codes: the nearest, [frames, codebooks].
        others: chosen by another way of computing; equal codes count nothing.
    """
    widest = 0.0
    for frame in (codes != others).any(1).nonzero()[:, 0].tolist():
        first = int((codes[frame] != others[frame]).nonzero()[0])  # the later ones are of another residual
        *before, stage = list(codec._model.quantizer.quantizers)[: first + 1]
        residual = hidden[None, :, frame, None]
        for earlier, code in zip(before, codes[frame], strict=False):
            residual = residual - earlier.out_proj(earlier.codebook.weight[code][None, :, None])
        direction = torch.nn.functional.normalize(stage.in_proj(residual)[0, :, 0], dim=0)
        cosines = torch.nn.functional.normalize(stage.codebook.weight) @ direction
        chosen = torch.stack([codes[frame, first], others[frame, first]])
        widest = max(widest, float(cosines.max() - cosines[chosen].min()))
    return widest


@pytest.mark.parametrize("package", ["descript", "transformers"])
@pytest.mark.parametrize("seconds", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_chunks_change_nothing(networks, package, seconds):
    waveform = tone_and_noise(seconds * 16_000 + 13, 16_000)
    gains = loudness_gains(waveform, -16.0)
    whole = DacCodec(networks[package], space="summed", chunk_frames=100_000)
    pieces = DacCodec(networks[package], space="summed", chunk_frames=256)
    codes, chunked = (codec.encode_codes(waveform, gains)[0] for codec in (whole, pieces))
    samples = torch.from_numpy(waveform.samples)[:, None] * gains
    samples = torch.nn.functional.pad(samples, (0, len(codes) * 40 - samples.shape[2]))
    with torch.no_grad():
        hidden = whole._model.encoder(samples)
        in_pieces = encode_chunked(
            whole._model.encoder, samples, hop_length=40, context_frames=pieces._encoder_context, chunk_frames=256
        )
        torch.testing.assert_close(in_pieces, hidden, rtol=0, atol=1e-4)
        # A code differs only where two entries are as near as each other: there the last bit decides.
        assert tie_width(whole, hidden[0], codes, chunked) < 1e-5
    assert (codes != chunked).any(1).float().mean() < 0.005
    frames = whole.encode(waveform)
    decoded = [codec.decode(frames, waveform.num_samples).samples for codec in (whole, pieces)]
    assert np.abs(decoded[0] - decoded[1]).max() < 1e-4


def test_a_code_that_is_not_as_near_is_no_tie(networks):
    codec = DacCodec(networks["descript"])
    with torch.no_grad():
        hidden = codec._model.encoder(torch.from_numpy(tone_and_noise(4000, 16_000).samples)[:, None])
        codes = codec._model.quantizer(hidden)[1][0].T
        others = codes.clone()
        others[7, 2] = (others[7, 2] + 1) % 64
        assert tie_width(codec, hidden[0], codes, codes) == 0
        assert tie_width(codec, hidden[0], codes, others) > 1e-3


@pytest.mark.slow
def test_chunks_change_nothing_in_published_size(tmp_path):
    save_descript(tmp_path / "weights.pth", PUBLISHED_DAC["dac"])
    network = load_dac_network(tmp_path / "weights.pth")
    whole, pieces = (DacCodec(network, space="summed", chunk_frames=frames) for frames in (100_000, FRAMES_A_CHUNK))
    samples = torch.from_numpy(tone_and_noise(1723 * 512, 44_100).samples)[:, None]  # 20 s
    with torch.no_grad():
        hidden = encode_chunked(network.model.encoder, samples, hop_length=512, context_frames=pieces._encoder_context)
        torch.testing.assert_close(hidden, network.model.encoder(samples), rtol=0, atol=1e-4)
        values = network.model.quantizer(hidden)[0].transpose(1, 2)
    frames = FrameSequence(values, whole.frame_rate)
    decoded = [codec.decode(frames, 1722 * 512).samples for codec in (whole, pieces)]
    assert np.abs(decoded[0] - decoded[1]).max() < 1e-4
    assert np.abs(decoded[0]).max() > 1e-3


def test_loudness_is_brought_up_and_undone(networks):
    codec = DacCodec(networks["descript"])
    loud = tone_and_noise(16_000, 16_000)
    quiet = loud.scaled(0.02)
    gains = loudness_gains(quiet, -16.0)
    assert loudness_lufs(quiet.scaled(float(gains[0]))) == pytest.approx(-16, abs=0.05)
    both = [codec.encode(waveform) for waveform in (loud, quiet)]
    assert (codec.to_codes(both[0].values) == codec.to_codes(both[1].values)).float().mean() > 0.99
    decoded = [codec.decode(frames, 16_000).samples for frames in both]
    np.testing.assert_allclose(np.std(decoded[1]) / np.std(decoded[0]), 0.02, rtol=0.01)


def test_gain_never_clips_and_silence_keeps_its_level():
    click = np.zeros((2, 16_000), np.float32)
    click[0, 8000] = 0.5
    gains = loudness_gains(Waveform(click, 16_000), -16.0)
    assert gains.tolist() == [2.0, 1.0]


def test_a_pair_is_encoded_at_one_gain(networks):
    codec = DacCodec(networks["descript"])
    damaged, clean = tone_and_noise(8000, 16_000), tone_and_noise(8000, 16_000, seed=3).scaled(0.3)
    frames = codec.encode(damaged)
    twin = encode_like(codec, clean, frames)
    assert torch.equal(twin.gains, frames.gains)
    assert not torch.equal(twin.gains, codec.encode(clean).gains)


def test_codes_latents_and_sums_lead_to_each_other(networks):
    factorized, summed = (DacCodec(networks["descript"], space=space) for space in ("factorized", "summed"))
    codes = torch.randint(0, 64, (2, 50, 4), generator=torch.Generator().manual_seed(0))
    for codec in (factorized, summed):
        values = codec.from_codes(codes)
        assert values.shape == (2, 50, codec.latent_dim)
        assert torch.equal(codec.to_codes(values), codes)
        noisy = values + 1e-4 * torch.randn(values.shape, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(codec.snap(noisy), values)
        stored = codec.to_stored(values)
        assert stored.dtype == np.uint8
        assert stored.shape == (2, 50, 4)
    assert (factorized.latent_dim, summed.latent_dim) == (16, 64)


def test_identity_tells_space_and_weights_apart(networks, places, tmp_path):
    save_descript(tmp_path / "other.pth", SMALL_DAC, seed=1)
    other = load_dac_network(tmp_path / "other.pth")
    codecs = [DacCodec(networks["descript"]), DacCodec(networks["descript"], space="summed"), DacCodec(other)]
    assert len({codec.identity.key for codec in codecs}) == 3
