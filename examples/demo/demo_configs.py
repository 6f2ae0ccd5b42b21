"""The demo's five configs: sizes and schedules with which two cores need minutes."""

from __future__ import annotations

from videozoo.config.ini import Values

FEATURE_MODELS = ("AttentionCluster", "AttentionLSTM", "NEXTVLAD")
FRAMES = 30
FRAME_RATE = 10
SOUND_BANDS = 64

_CLIPS = {
    "format": "mp4",
    "num_layers": 18,
    "short_size": 32,
    "target_size": 32,
    "resize": "aspect",
}
_CLIP_TRAINING = {
    "flip": False,  # a mirrored "move left" moves right
    "batch_size": 16,
    "l2_weight_decay": 1e-4,
    "total_videos": "auto",
}
_FEATURES = {"feature_names": ["rgb", "audio"], "feature_dims": [512, SOUND_BANDS]}
_FEATURE_TRAINING = {"epoch": 10, "batch_size": 32}
_RECIPES: dict[str, Values] = {
    "TSN": {
        "MODEL": {**_CLIPS, "seg_num": 3, "seglen": 1},
        "TRAIN": {**_CLIP_TRAINING, "epoch": 4, "learning_rate": 0.005},
    },
    "STNET": {
        "MODEL": {**_CLIPS, "seg_num": 3, "seglen": 5},
        "TRAIN": {**_CLIP_TRAINING, "epoch": 9, "learning_rate": 0.006},
    },
    "AttentionCluster": {
        "MODEL": {**_FEATURES, "seg_num": 15, "cluster_nums": [8, 8], "hidden_sizes": [256, 128]},
        "TRAIN": {**_FEATURE_TRAINING, "learning_rate": 0.001},
    },
    "AttentionLSTM": {
        "MODEL": {
            **_FEATURES, "embedding_size": 64, "lstm_size": 64, "hidden_sizes": [256, 128],
        },
        "TRAIN": {
            **_FEATURE_TRAINING, "learning_rate": 0.001, "decay_epochs": [10],
            "weight_decay": 0.0008, "num_samples": "auto",
        },
    },
    "NEXTVLAD": {
        "MODEL": {**_FEATURES, "cluster_size": 8, "hidden_size": 256, "eigen_file": None},
        "TRAIN": {
            **_FEATURE_TRAINING, "learning_rate": 0.0005, "lr_boundary_examples": "auto",
            "learning_rate_decay": 1.0,
        },
    },
}  # fmt: skip


def values_for(model: str, *, num_classes: int) -> Values:
    """Returns the config of a model in the demo, without its lists.

    Args:
        model: as in videozoo.specs.SPECS.
        num_classes: K.
    """
    recipe = _RECIPES[model]
    batch = {"batch_size": 32}
    return {
        "MODEL": {"num_classes": num_classes, **recipe["MODEL"]},
        "TRAIN": dict(recipe["TRAIN"]),
        "VALID": dict(batch),
        "TEST": dict(batch),
        "INFER": dict(batch),
    }
