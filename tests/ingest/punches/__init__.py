"""Punches through ingest: each verdict by MQTT, late fixes that amend, kills."""
