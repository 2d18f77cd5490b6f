"""Pictures and meshes for a job, taken once when the job is made: what happens to their source later is no matter."""
