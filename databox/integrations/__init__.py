"""Destinations for pipelines and engines, each of an extra of its own and imported on use only."""

try:
    from databox import Databox as _  # noqa: F401 - the vendor's package, installed last, has none
except ImportError as problem:
    from databox.clash import explain

    explain(problem)
    raise

REQUESTS_PER_SECOND = 9
"""For work that is spread over threads, processes or machines: one less than the documented 10, and evenly, so that a
request that a busy executor or the way holds up by a tenth of a second still does not meet the next ones. The limit of
an hour allows 2.8 for long."""
