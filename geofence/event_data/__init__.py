"""`data` of events: its fields, what each means, an example. One file per kind of event.

Ingest, `db.punches` and the API write these structs. The OpenAPI document and docs/webhooks.md
are made from them, too (`api.openapi.event_types`).
"""
