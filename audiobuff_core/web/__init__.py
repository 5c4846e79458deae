"""The web page that `audiobuff serve` shows."""
