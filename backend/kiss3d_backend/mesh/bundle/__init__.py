"""The 3D bundle picture: four views of an object over their normals."""
