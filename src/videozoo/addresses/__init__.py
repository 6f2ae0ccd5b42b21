"""Files at addresses, such as s3://bucket/videos/a.mp4: fetched, kept for a while, uploaded."""
