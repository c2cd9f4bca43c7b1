"""The peers: the same answers as ours, by other means."""
