"""The commands: one file each, and the doors they share."""
