"""Benchmarks: figures as ratios within one run. They are no tests; `scripts/bench NAME` runs one."""
