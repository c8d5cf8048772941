"""Attackers beside a neighbour: the whole system, through each of its doors."""
