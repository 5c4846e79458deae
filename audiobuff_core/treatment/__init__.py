"""Exact treatments before the network: each detects a fault, verifies its finding, and treats only what it concerns."""
