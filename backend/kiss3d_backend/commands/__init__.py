"""The commands of ``kiss3d``, one file each."""
