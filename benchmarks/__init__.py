"""Measurements with their rivals: what tunability costs, and what it is worth."""
