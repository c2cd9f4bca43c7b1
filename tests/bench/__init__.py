"""
Measurements against peers in the same run: `make bench`.

Absolute numbers belong to a machine and a moment; what counts are the ratios of one
run. Rounds alternate between the contestants, so that a slow minute hits all of them.
"""
