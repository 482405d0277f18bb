"""HTTP endpoint: a FastAPI app over zoo entries, and the Ray Serve deployment that runs it.

In reading order: ``config`` (options), ``app`` (routes), ``request_log`` (ids, log, ``metrics``), ``access``
(who may send requests), ``lifecycle`` (graceful stop), ``upload`` (bodies as they arrive), ``apply_handlers``
with ``apply_request`` (parse one), ``kept_pictures``, ``queue`` (lanes, limits and early ends), ``inference``
(run a model) and ``answers`` (formats), ``schemas`` (response bodies and OpenAPI), ``errors`` (error
responses), ``local`` (without Ray), ``server`` (Ray Serve), ``applications`` (their names on a shared
cluster), ``proxy`` (errors of Ray's HTTP proxy), ``page`` (the static page at /docs).
"""
