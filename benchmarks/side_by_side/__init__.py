"""The measuring: a process a side, turns that alternate, and the check that the work is equal."""
