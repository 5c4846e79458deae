"""Blind listening: a page to rate and tell apart what systems made of recordings, and the figures that come of it."""
