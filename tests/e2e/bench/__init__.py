"""Benchmarks beside what else there is; see docs/benchmarks.md."""
