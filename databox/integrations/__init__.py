"""Destinations for pipelines and engines, each of an extra of its own and imported on use only."""
