"""Programs that keep generated files of the repository in step; each has `--check`."""
