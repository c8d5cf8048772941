#!/bin/sh
# Verifies one webhook by hand: the body as it came on standard input, its headers as variables.
#
#     WEBHOOK_SECRET=whsec_... WEBHOOK_ID=evt_... WEBHOOK_TIMESTAMP=1767225600 \
#       WEBHOOK_SIGNATURE='v1,...' sh webhook_verify.sh < body.json
#
# Needs openssl. To look into what a receiver refuses: others on the machine see the key while it runs.
set -eu

TOLERANCE_S=300 # how far the sender's clock may be from ours

refuse() {
  echo "refused: $1" >&2
  exit 1
}

case $WEBHOOK_TIMESTAMP in
  "" | *[!0-9]*) refuse "the timestamp is no number" ;;
esac
age_s=$(($(date +%s) - WEBHOOK_TIMESTAMP))
[ "${age_s#-}" -le "$TOLERANCE_S" ] || refuse "the timestamp is too old, or of the future"
key=$(printf %s "${WEBHOOK_SECRET#whsec_}" | base64 -d | od -An -v -tx1 | tr -d ' \n')
wanted=$({ printf '%s.%s.' "$WEBHOOK_ID" "$WEBHOOK_TIMESTAMP" && cat; } |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64)
# While a secret is being rotated there are two signatures: one has to be right.
case " $WEBHOOK_SIGNATURE " in
  *" v1,$wanted "*) echo "ours" ;;
  *) refuse "no signature is right" ;;
esac
