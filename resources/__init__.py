"""Dagster resources: partitions, storage, encoders, the trainer. Imports only `audiobuff_core` and Dagster."""
