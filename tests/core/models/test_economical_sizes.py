"""The options that make a small network smaller, or show it more."""

import math

import pytest
import torch
from test_model import CONFIG, _inputs

from audiobuff_core.models.backbone import log_magnitude
from audiobuff_core.models.model import ModelConfig, RestorationModel

SMALL = {"magnitude_input": True, "shared_modulation": True, "fusion_every": 2}


def _network(**options: object) -> RestorationModel:
    torch.manual_seed(0)
    return RestorationModel(ModelConfig(**(CONFIG.as_dict() | options))).eval()


def _waken(model: RestorationModel) -> RestorationModel:
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    return model


@pytest.mark.parametrize("option", SMALL)
def test_an_untrained_network_changes_nothing(option):
    assert not _network(**{option: SMALL[option]}).velocity(**_inputs()).any()


@pytest.mark.parametrize("option", SMALL)
def test_every_parameter_is_trained(option):
    model = _waken(_network(**{option: SMALL[option]}))
    model.velocity(**_inputs()).square().sum().backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_sharing_the_modulation_saves_nine_squares_a_block():
    width, depth = CONFIG.d_model, CONFIG.depth
    saved = _network().num_parameters() - _network(shared_modulation=True).num_parameters()
    # One matrix and bias a block go, one for all of them and a table a block come.
    assert saved == depth * 9 * width**2 - 9 * width**2 - 9 * width


def test_every_second_block_fuses():
    blocks = _network(fusion_every=2).vfn.blocks
    assert [block.fusion is not None for block in blocks] == [True, False]


def test_a_step_still_modulates_every_block():
    model, inputs = _waken(_network(**SMALL)), _inputs()
    later = inputs | {"t": inputs["t"] * 0.5}
    assert not torch.allclose(model.velocity(**inputs), model.velocity(**later), atol=1e-3)


def test_magnitudes_do_not_depend_on_signs():
    latents = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(1))
    assert torch.equal(log_magnitude(latents), log_magnitude(-latents))


def test_the_pseudo_spectrum_of_a_sine_hardly_moves_with_its_phase():
    """Bare coefficients swing with the phase of a sine, down to nothing; the pseudo-spectrum's peak does not."""
    from audiobuff_core.codecs.mdct import mdct

    times = torch.arange(64 * 512) / 44_100
    sine = torch.sin(2 * math.pi * 1001.0 * times)[None]
    frames = mdct(sine, 512)[:, 4:-4] * 10
    bare = frames.square().amax(dim=-1).log()
    pseudo = log_magnitude(frames).amax(dim=-1) / 0.3
    assert float(pseudo.std()) < 0.5 * float(bare.std())


def test_padding_does_not_reach_valid_frames():
    model, inputs = _waken(_network(**SMALL)), _inputs(batch=1)
    inputs["valid"] = torch.tensor([[True] * 14 + [False] * 6])
    before = model.velocity(**inputs)[:, :14]
    inputs["damaged"] = inputs["damaged"].clone()
    inputs["damaged"][:, 14:] += 100.0
    torch.testing.assert_close(model.velocity(**inputs)[:, :14], before, atol=1e-5, rtol=0)
