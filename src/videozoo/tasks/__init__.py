"""What training means: losses, optimizers, schedules, and the run around them."""
