"""Preprocessing, model and label names joined: scores for validation, test, infer and the API."""
