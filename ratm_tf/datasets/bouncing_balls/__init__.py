"""Bouncing balls (section 5.1 of the paper)."""
