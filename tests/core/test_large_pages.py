import os
import subprocess
import sys

import pytest

# Torch asks for large pages exactly where it lets a tensor begin with a page of the system's.
PLACE = "import mmap, audiobuff_core, torch; print(torch.ones(10_000_000).data_ptr() % mmap.PAGESIZE)"


def offset_in_page(setting: dict[str, str]) -> int:
    kept = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    made = subprocess.run([sys.executable, "-c", PLACE], check=True, capture_output=True, env=kept | setting)
    return int(made.stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a setting of torch on Linux")
def test_tensors_lie_in_large_pages_unless_turned_off():
    assert offset_in_page({}) == 0
    assert offset_in_page({"THP_MEM_ALLOC_ENABLE": "0"}) != 0
