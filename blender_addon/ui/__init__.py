"""The panels in the sidebar of the 3D View. They draw what is known and change nothing."""
