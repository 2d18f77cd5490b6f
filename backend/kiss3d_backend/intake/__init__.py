"""Reading pictures that come from outside: formats, limits, orientation, bit depths."""
