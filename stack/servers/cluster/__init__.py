"""Three of each server on one machine: PostgreSQL under Patroni, etcd, RabbitMQ; nginx before the
roles.
"""
