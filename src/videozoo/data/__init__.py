"""Readers: list files, records and videos become batches of uint8."""
