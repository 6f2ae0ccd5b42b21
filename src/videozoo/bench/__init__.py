"""Measures how fast this machine does what videozoo does, and what bounds it."""
