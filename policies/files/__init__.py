"""Policies as files: the whole house in JSON, and cards from a spreadsheet."""
