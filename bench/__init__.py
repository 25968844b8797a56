"""
Benchmarks: ratios inside one run, interleaved, medians. ``./noc bench NAME [--json]`` starts
throw-away servers and runs ``python -m bench.NAME`` against them.
"""
