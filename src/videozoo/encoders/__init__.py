"""Videos described by pretrained models: frames or sound in, rows of features out."""
