"""Config files: the INI files of the original become typed settings here, and nowhere else."""

from __future__ import annotations

from videozoo.config.experiment import (
    Experiment,
    Origin,
    bundled_config,
    find_config,
    load_experiment,
    resolve,
)

__all__ = [
    "Experiment",
    "Origin",
    "bundled_config",
    "find_config",
    "load_experiment",
    "resolve",
]
