"""The learned networks: one folder each with its modules and its loader. Everything here needs torch."""
