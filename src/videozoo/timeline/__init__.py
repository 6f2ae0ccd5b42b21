"""What is in a long video, and when: windows of it are scored while it is decoded once."""
