"""The model of the engine: transitions, rules, policies, schedules, ids of visits."""
