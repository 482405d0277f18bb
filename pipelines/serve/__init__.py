"""The endpoint: a FastAPI app over zoo entries, and the Ray Serve shell that runs it.

In reading order: ``config`` (the options), ``app`` (the routes), ``upload`` and ``sliders`` (what a client
sends), ``restore`` and ``workers`` (what is done with it, and where), ``cards`` and ``openapi`` (what a
client can know), ``faults`` and ``body_limit`` (what it is told when something is wrong), ``server`` (Ray),
``page`` (what lies at /docs).
"""
