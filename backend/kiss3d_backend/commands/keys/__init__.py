"""The commands about keys: who may connect to a backend, and to which backends this computer may."""
