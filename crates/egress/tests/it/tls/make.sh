#!/bin/sh
# Makes the certificates of the tests again: a root and one for localhost. The keys protect nothing.
set -eu
cd "$(dirname "$0")"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj "/CN=test root" \
    -keyout root.key -out root.pem -addext "basicConstraints=critical,CA:TRUE"
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=localhost" -keyout server.key -out server.csr
printf 'subjectAltName=DNS:localhost\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\n' > server.ext
openssl x509 -req -in server.csr -CA root.pem -CAkey root.key -days 36500 -extfile server.ext -out server.pem
rm root.key server.csr server.ext ./*.srl 2>/dev/null || true
