"""Weights on disk: our own files, PaddlePaddle Fluid's folders, PyTorch's image networks.

No module here knows the models: tables of names, state dicts and pure functions are enough.
"""
