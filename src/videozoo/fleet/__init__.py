"""Lists that are done by the workers of a cluster; Ray comes with the extra fleet."""
