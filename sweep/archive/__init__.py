"""Studies as files: written for people and other machines, read back with suspicion."""
