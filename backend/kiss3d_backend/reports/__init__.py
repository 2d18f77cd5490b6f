"""The account of a job: what ran, how long, with what; as JSON and as a page. Imports no torch and no numpy."""
