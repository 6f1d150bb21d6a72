#!/bin/sh
# Write the .env that compose.yaml needs: passwords that nobody else has, this machine's names and
# time zone. An .env that is there already is left alone.
set -eu
cd "$(dirname "$0")/.."
if [ -e .env ]; then
    echo ".env is there already; remove it first if you want a new one." >&2
    exit 1
fi
secret() { head -c 24 /dev/urandom | base64 | tr '+/' '-_'; }
umask 077
name=$(hostname)
names="$name,${name%%.*}.local"
for address in $(hostname -I 2>/dev/null); do
    names="$names,$address"
done
admin=$(secret)
cat >.env <<END
POSTGRES_PASSWORD=$(secret)
APP_PASSWORD=$(secret)
MAINTENANCE_PASSWORD=$(secret)
ADMIN_PASSWORD=$admin
SERVER_NAMES=$names
TIME_ZONE=$(cat /etc/timezone 2>/dev/null || echo Etc/UTC)
END
echo "Wrote .env for $names."
echo "Sign in as admin with the password $admin"
