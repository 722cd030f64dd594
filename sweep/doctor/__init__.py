"""Whether this machine, the folder and its two stores are as they should be."""
