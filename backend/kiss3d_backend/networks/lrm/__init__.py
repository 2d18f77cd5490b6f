"""The large reconstruction model: four views to triplanes, and triplanes to a coloured mesh."""
