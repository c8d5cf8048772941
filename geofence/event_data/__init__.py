"""`data` of events: its fields, what each means, an example. One file per kind of event.

Ingest, use cases and the API write these structs. The OpenAPI document and `GET /v1/event-types`
are made from them, too (`api.openapi.event_types`).
"""
