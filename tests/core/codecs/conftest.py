"""Small DACs for the tests of both packages."""

import pytest
from small_networks import SMALL_DAC, save_descript, save_transformers

from audiobuff_core.codecs.dac_network import load_dac_network


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """The same small network as descript's file and as transformers' folder."""
    folder = tmp_path_factory.mktemp("dac")
    state = save_descript(folder / "weights.pth", SMALL_DAC)
    save_transformers(folder / "hub", SMALL_DAC, state)
    return {"descript": folder / "weights.pth", "transformers": folder / "hub", "state": state}


@pytest.fixture(scope="module")
def networks(places):
    return {name: load_dac_network(places[name]) for name in ("descript", "transformers")}
