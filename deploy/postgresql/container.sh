#!/bin/sh
# PostgreSQL in a container: makes the cluster at the first start, then runs it. Arguments are
# PostgreSQL's own, such as `-c shared_buffers=1GB`.
set -eu
DATA=/var/lib/postgresql/17/main

if [ ! -e "$DATA" ]; then
    # Under another name until it is complete: a first start that is cut off begins anew.
    rm -rf "$DATA.new"
    printf '%s\n' "$SUPERUSER_PASSWORD" > /tmp/password
    initdb --pgdata="$DATA.new" --encoding=UTF8 --locale=C.UTF-8 --data-checksums \
        --username=postgres --pwfile=/tmp/password --auth-local=peer --auth-host=scram-sha-256
    rm /tmp/password
    echo 'host all all all scram-sha-256' >> "$DATA.new/pg_hba.conf"
    echo 'CREATE DATABASE opsc' | postgres --single -D "$DATA.new" postgres
    mv "$DATA.new" "$DATA"
fi
exec postgres -D "$DATA" -c config_file=/etc/postgresql/ops-companion.conf -c 'listen_addresses=*' "$@"
