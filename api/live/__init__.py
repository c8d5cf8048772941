"""Events and positions as they happen: WebSocket and SSE."""
