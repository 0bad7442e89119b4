"""Rows from files as people have them: the reader behind `databox.read_records`."""
