"""What an ingest may be told, by name."""

from typing import Literal

__all__ = ["OnAmbiguous", "OnRefusal", "Verify"]

Verify = Literal["counts", "status"]
"""How `ingest` learns what became of accepted rows: fetch each ingestion's counts, or read the list of statuses."""
OnAmbiguous = Literal["auto", "resend", "report"]
"""What `ingest` does with a batch whose answer was lost; auto: resend when there are primary keys."""
OnRefusal = Literal["isolate", "report"]
"""What `ingest` does with a batch that is refused for what is in it: find the rows at fault, or report the batch."""
