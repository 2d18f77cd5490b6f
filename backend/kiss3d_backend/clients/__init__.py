"""Who may connect: the clients of a data directory, and the pairings that make new ones."""
