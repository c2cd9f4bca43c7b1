"""
Measurements against peers in the same run: `make bench`.

Absolute numbers belong to a machine and a moment; what counts are the ratios of one
run. Rounds alternate between the contestants, so that a slow minute hits all of them.

What is missing (wrk, Go, podinfo) is skipped by name. BENCH_ROUNDS and BENCH_SECONDS
shorten a run: BENCH_ROUNDS=1 BENCH_SECONDS=2 shows that all of it works.
"""
