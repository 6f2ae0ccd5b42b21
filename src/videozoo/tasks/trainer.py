"""Lightning's Trainer, kept quiet and made to pass errors on."""

from __future__ import annotations

import logging
import signal
import warnings

import lightning as L
import torch


def quiet_lightning() -> None:
    """Silences what Lightning says about itself."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    torch.set_float32_matmul_precision("highest")


def run_trainer(trainer: L.Trainer, task: L.LightningModule, data: L.LightningDataModule) -> None:
    """Trains.

    Raises:
        KeyboardInterrupt: the user stopped it. Lightning would end the process without a word and
            leave it deaf to a second one.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            warnings.filterwarnings("ignore", message=".*LeafSpec.*")
            trainer.fit(task, datamodule=data)
    except SystemExit as end:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, before)
        raise KeyboardInterrupt from end
