"""`torchrun ... train.py`: the original's way to start training."""

import sys

from audiobuff_core.training.cli import main

sys.exit(main())
