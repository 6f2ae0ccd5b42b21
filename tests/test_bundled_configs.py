"""The bundled configs hold what the original's files say."""

from __future__ import annotations

from typing import Any

import pytest

from videozoo.config import load_experiment
from videozoo.specs import find_spec

YOUTUBE = {"feature_names": ["rgb", "audio"], "feature_dims": [1024, 128]}
CLIPS = {
    "num_classes": 400,
    "format": "pkl",
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
    "num_layers": 50,
}
CLIP_TRAINING = {
    "short_size": 256,
    "target_size": 224,
    "num_reader_threads": 12,
    "buf_size": 1024,
    "num_gpus": 8,
    "learning_rate": 0.01,
    "learning_rate_decay": 0.1,
    "l2_weight_decay": 1e-4,
    "momentum": 0.9,
    "total_videos": 224684,
    "pretrain_base": "./dataset/pretrained/ResNet50_pretrained",
}
# What the original's files say, by model and section.
ORIGINAL: dict[str, dict[str, dict[str, Any]]] = {
    "AttentionCluster": {
        "MODEL": YOUTUBE
        | {"drop_rate": 0.5, "seg_num": 100, "cluster_nums": [32, 32], "num_classes": 3862}
        | {"topk": 20, "dataset": "YouTube-8M", "bone_network": None, "feature_num": 2},
        "TRAIN": {"epoch": 5, "learning_rate": 0.001, "pretrain_base": None, "batch_size": 2048}
        | {"use_gpu": True, "num_gpus": 8, "filelist": "dataset/youtube8m/train.list"},
        "VALID": {"batch_size": 2048, "filelist": "dataset/youtube8m/val.list"},
        "TEST": {"batch_size": 256, "filelist": "dataset/youtube8m/test.list"},
        "INFER": {"batch_size": 1, "filelist": "dataset/youtube8m/infer.list"},
    },
    "AttentionLSTM": {
        "MODEL": YOUTUBE
        | {"drop_rate": 0.5, "embedding_size": 512, "lstm_size": 1024, "num_classes": 3862}
        | {"topk": 20},
        "TRAIN": {"epoch": 10, "learning_rate": 0.001, "decay_epochs": [5], "decay_gamma": 0.1}
        | {"weight_decay": 0.0008, "num_samples": 5000000, "batch_size": 1024, "num_gpus": 8},
        "VALID": {"batch_size": 1024},
        "TEST": {"batch_size": 128},
        "INFER": {"batch_size": 1},
    },
    "NEXTVLAD": {
        "MODEL": YOUTUBE
        | {"num_classes": 3862, "topk": 20, "video_feature_size": 1024}
        | {"audio_feature_size": 128, "cluster_size": 128, "hidden_size": 2048, "groups": 8}
        | {"expansion": 2, "drop_rate": 0.5, "gating_reduction": 8}
        | {"eigen_file": "./dataset/youtube8m/yt8m_pca/eigenvals.npy"},
        "TRAIN": {"epoch": 6, "learning_rate": 0.0002, "lr_boundary_examples": 2000000}
        | {"max_iter": 700000, "learning_rate_decay": 0.8, "l2_penalty": 1e-5}
        | {"gradient_clip_norm": 1.0, "clip_gradients": False, "num_gpus": 4, "batch_size": 160},
        "VALID": {"batch_size": 160},
        "TEST": {"batch_size": 40},
        "INFER": {"batch_size": 1},
    },
    "STNET": {
        "MODEL": CLIPS | {"seg_num": 7, "seglen": 5},
        "TRAIN": CLIP_TRAINING | {"epoch": 60, "batch_size": 128},
        "VALID": {"short_size": 256, "target_size": 224, "batch_size": 128},
        "TEST": {"short_size": 256, "target_size": 256, "batch_size": 16},
        "INFER": {"short_size": 256, "target_size": 256, "batch_size": 1},
    },
    "TSN": {
        "MODEL": CLIPS | {"seg_num": 3, "seglen": 1},
        "TRAIN": CLIP_TRAINING | {"epoch": 45, "batch_size": 256},
        "VALID": {"short_size": 256, "target_size": 224, "batch_size": 256},
        "TEST": {"short_size": 256, "target_size": 224, "batch_size": 32},
        "INFER": {"short_size": 256, "target_size": 224, "batch_size": 1},
    },
}


@pytest.mark.parametrize("model", ORIGINAL)
def test_bundled_configs_hold_the_originals_values(model: str) -> None:
    experiment = load_experiment(find_spec(model.upper()).keys, None)
    assert experiment.model == model
    for mode in ("TRAIN", "VALID", "TEST", "INFER"):
        for key, value in (ORIGINAL[model]["MODEL"] | ORIGINAL[model][mode]).items():
            found = getattr(experiment[mode], key)
            assert (found, type(found)) == (value, type(value)), f"{mode}.{key}"
