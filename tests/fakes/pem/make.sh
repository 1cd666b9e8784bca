#!/bin/sh
# Make all certificates anew, in this folder: see README.md.
set -e
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

touch "$work/index.txt"
cat > "$work/ca.cnf" <<'CONFIG'
[ca]
default_ca = here
[here]
database = WORK/index.txt
new_certs_dir = WORK
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
[here_names]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1
[elsewhere_names]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:elsewhere.invalid
CONFIG
sed -i "s|WORK|$work|" "$work/ca.cnf"

# new NAME SUBJECT: a key, and the wish for a certificate.
new() {
    openssl ecparam -name prime256v1 -genkey -noout -out "$work/$1.key"
    openssl req -new -key "$work/$1.key" -subj "/CN=$2" -out "$work/$1.csr"
}

# sign NAME EXTENSIONS FIRST LAST [OPTIONS]: dates as YYYYMMDDHHMMSSZ.
sign() {
    name=$1 extensions=$2 first=$3 last=$4
    shift 4
    openssl ca -batch -notext -config "$work/ca.cnf" -extensions "$extensions" \
        -startdate "$first" -enddate "$last" -keyfile "$work/authority.key" \
        -in "$work/$name.csr" -out "$work/$name.crt" "$@"
}

new authority "dcc_mcp_embed test authority"
sign authority authority 20000101000000Z 21260101000000Z -selfsign
cp "$work/authority.crt" authority.pem

for name in good elsewhere expired; do
    extensions=here_names last=21260101000000Z
    [ "$name" = elsewhere ] && extensions=elsewhere_names
    [ "$name" = expired ] && last=20010101000000Z
    new "$name" "$name"
    sign "$name" "$extensions" 20000101000000Z "$last" -cert "$work/authority.crt"
    cat "$work/$name.key" "$work/$name.crt" > "$name.pem"
done
