"""Rows to batches to outcomes: the parts that do no I/O. `databox._async.ingest` drives them."""
