"""YouTube-8M: frame features in TFRecord shards, or in the pickles made of them."""
