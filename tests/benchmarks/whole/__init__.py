"""A whole job at full size with random weights: what ``bench_whole.py`` is made of."""
