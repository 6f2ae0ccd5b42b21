"""Video clips: lists of them, decoding, and the source of samples."""
