"""Latent conditional flow matching: the mathematics, with torch and nothing else.

Time runs from the source at `t = 0` to clean data at `t = 1`; letters follow Lipman et al., "Flow Matching for
Generative Modeling" (2023): `x_0` source, `x_1` data, `x_t` the point between, `velocity` its derivative.
"""
