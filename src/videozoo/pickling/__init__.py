"""Pickles of strangers: what they may name, and what they may take."""
