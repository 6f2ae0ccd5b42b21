"""Exact frames of video files. This room knows errors and nothing else of videozoo."""
