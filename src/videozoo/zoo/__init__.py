"""Published weights: which there are, fetching them, keeping them."""
