"""FlexiCubes (arXiv 2308.05371): surfaces from a field on a deformed grid, with weights for each cell. Needs torch."""
