"""Every entry of the catalogue in its published layout, at tiny widths."""
