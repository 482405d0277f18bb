"""HTTP endpoint: a FastAPI app over zoo entries, and the Ray Serve deployment that runs it.

In reading order: ``config`` (options), ``app`` (routes), ``access`` (who may send requests), ``upload``
(parse and limit them), ``queue`` (lanes, limits and early ends), ``inference`` (run a model), ``schemas``
(response bodies and OpenAPI), ``errors`` (error responses), ``server`` (Ray Serve), ``local`` (without Ray),
``page`` (the static page at /docs).
"""
