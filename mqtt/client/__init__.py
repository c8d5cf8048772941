"""The client's side: one MQTT 5 session over asyncio."""
