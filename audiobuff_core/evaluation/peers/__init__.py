"""What others restore with, to be measured beside AudioBuff on the same recordings in the same run."""
