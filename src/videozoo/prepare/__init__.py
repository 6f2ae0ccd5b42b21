"""Data made quicker to read, once, before training."""
