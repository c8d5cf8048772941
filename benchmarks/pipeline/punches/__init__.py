"""Punches beside fixes: from punch to event, and what punches cost the fixes."""
