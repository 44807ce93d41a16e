"""Flags that several experiments share."""
