"""HTTP endpoint: a FastAPI app over zoo entries, and the Ray Serve deployment that runs it.

In reading order: ``config`` (options), ``app`` (routes), ``upload`` (parse and limit requests),
``inference`` (run a model in a bounded thread pool), ``schemas`` (response bodies and OpenAPI), ``errors``
(error responses), ``server`` (Ray Serve), ``page`` (the static page at /docs).
"""
