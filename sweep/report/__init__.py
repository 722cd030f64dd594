"""The report of one or more studies: what they found, how sure it is, and what remakes it."""
