"""Calling a model server."""
