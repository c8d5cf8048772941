"""What the engine speaks of: transitions, rules, policies, schedules, ids of visits."""
