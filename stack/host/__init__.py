"""The machine: users, processes, their logs, and the programs of servers."""
