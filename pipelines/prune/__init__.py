"""Listing and deleting what earlier runs left: old runs, published entries, downloads and caches."""
