"""Rows from files of all kinds: the reader behind `databox.read_records`."""
