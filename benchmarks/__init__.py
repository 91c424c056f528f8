"""Measurements: ratios in one run, printed as tables. ``python -m benchmarks`` runs all of them."""
