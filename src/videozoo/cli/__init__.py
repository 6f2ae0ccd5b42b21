"""The commands: one file each, and how they open their inputs."""
