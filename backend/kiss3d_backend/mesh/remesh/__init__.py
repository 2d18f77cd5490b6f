"""Continuous remeshing: edges near their target lengths, on a mesh that stays closed and manifold."""
