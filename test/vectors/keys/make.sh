#!/bin/sh
# Makes the fixtures anew. Needs ssh-keygen (OpenSSH 9), openssl 3 and puttygen (0.75 or later).
# Every encrypted file has the passphrase "open sesame". The comparison values beside the keys come from the tools.
set -eu
cd "$(dirname "$0")"
rm -rf openssh pem ppk cert krl
mkdir openssh pem ppk cert krl
pass='open sesame'

# openssh-key-v1: each type, plain and with each cipher
ssh-keygen -q -t ed25519 -N '' -C 'ed25519 fixture' -f openssh/ed25519
ssh-keygen -q -t rsa -b 2048 -N '' -C 'rsa fixture' -f openssh/rsa
ssh-keygen -q -t rsa -b 1024 -N '' -C 'short rsa fixture' -f openssh/rsa1024
for bits in 256 384 521; do
  ssh-keygen -q -t ecdsa -b $bits -N '' -C "ecdsa $bits fixture" -f openssh/ecdsa$bits
done
ssh-keygen -q -t dsa -N '' -C 'dsa fixture' -f openssh/dsa
for cipher in aes128-ctr aes192-ctr aes256-ctr aes128-cbc aes192-cbc aes256-cbc aes128-gcm@openssh.com \
  aes256-gcm@openssh.com chacha20-poly1305@openssh.com 3des-cbc; do
  file="openssh/ed25519.${cipher%@*}"
  cp openssh/ed25519 "$file"
  chmod 600 "$file"
  ssh-keygen -q -p -Z "$cipher" -a 2 -N "$pass" -f "$file" > /dev/null
done
for type in rsa ecdsa521; do
  cp openssh/$type openssh/$type.enc
  chmod 600 openssh/$type.enc
  ssh-keygen -q -p -a 24 -N "$pass" -f openssh/$type.enc > /dev/null
done

# what ssh-keygen says about the keys
for key in ed25519 rsa rsa1024 ecdsa256 ecdsa384 ecdsa521 dsa; do
  ssh-keygen -lv -f openssh/$key.pub > openssh/$key.sha256
  ssh-keygen -lv -E md5 -f openssh/$key.pub > openssh/$key.md5
done
ssh-keygen -e -f openssh/rsa.pub > openssh/rsa.rfc4716

# PEM: traditional, encrypted traditional, PKCS#8, PBES2
for type in rsa ecdsa256 ecdsa384 ecdsa521 dsa; do
  cp openssh/$type pem/$type.traditional
  chmod 600 pem/$type.traditional
  ssh-keygen -q -p -m PEM -N '' -f pem/$type.traditional > /dev/null
  openssl pkcs8 -topk8 -nocrypt -in pem/$type.traditional -out pem/$type.pkcs8
  openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256 -iter 2048 -passout "pass:$pass" \
    -in pem/$type.traditional -out pem/$type.pbes2
done
openssl pkcs8 -topk8 -v2 aes-128-cbc -v2prf hmacWithSHA1 -iter 2048 -passout "pass:$pass" \
  -in pem/rsa.traditional -out pem/rsa.pbes2-aes128-sha1
openssl pkcs8 -topk8 -v2 aes-192-cbc -v2prf hmacWithSHA512 -iter 2048 -passout "pass:$pass" \
  -in pem/rsa.traditional -out pem/rsa.pbes2-aes192-sha512
openssl pkcs8 -topk8 -v2 des3 -v2prf hmacWithSHA256 -iter 2048 -passout "pass:$pass" \
  -in pem/rsa.traditional -out pem/rsa.pbes2-des3
openssl pkcs8 -topk8 -scrypt -scrypt_N 1024 -passout "pass:$pass" -in pem/rsa.traditional -out pem/rsa.scrypt
for cipher in aes128 aes192 aes256 des3; do
  openssl rsa -traditional -$cipher -passout "pass:$pass" -in pem/rsa.traditional -out pem/rsa.dek-$cipher 2> /dev/null
done
openssl ec -aes256 -passout "pass:$pass" -in pem/ecdsa256.traditional -out pem/ecdsa256.dek-aes256 2> /dev/null
{ openssl ecparam -name prime256v1; cat pem/ecdsa256.traditional; } > pem/ecdsa256.with-parameters
openssl ecparam -name secp256k1 -genkey -noout -out pem/secp256k1.traditional
openssl genpkey -algorithm ed25519 -out pem/ed25519.pkcs8
openssl pkey -in pem/ed25519.pkcs8 -pubout -outform DER | tail -c 32 | od -An -v -tx1 | tr -d ' \n' > pem/ed25519.point
openssl pkcs8 -topk8 -v2 aes-256-cbc -iter 2048 -passout "pass:$pass" -in pem/ed25519.pkcs8 -out pem/ed25519.pbes2
openssl genpkey -algorithm x25519 -out pem/x25519.pkcs8

# PuTTY
printf '%s' "$pass" > ppk/passphrase
: > ppk/empty
for type in ed25519 rsa ecdsa256 ecdsa384 ecdsa521 dsa; do
  for version in 2 3; do
    puttygen openssh/$type -O private --ppk-param version=$version --new-passphrase ppk/empty -o ppk/$type.v$version
    puttygen openssh/$type -O private --ppk-param version=$version,memory=64,passes=3 \
      --new-passphrase ppk/passphrase -o ppk/$type.v$version.enc
  done
done
for kdf in argon2i argon2d; do
  puttygen openssh/ed25519 -O private --ppk-param version=3,kdf=$kdf,memory=64,passes=3 \
    --new-passphrase ppk/passphrase -o ppk/ed25519.v3.$kdf
done
rm ppk/passphrase ppk/empty

# certificates: 2026-01-01 to 2036-01-01 unless said otherwise
for ca in ed25519 rsa ecdsa256; do
  cp openssh/$ca cert/ca_$ca
  chmod 600 cert/ca_$ca
done
sign() { # ca, file stem, key, options...
  ca=$1 stem=$2 key=$3
  shift 3
  cp openssh/$key.pub cert/$stem.pub
  TZ=UTC ssh-keygen -q -s cert/ca_$ca "$@" cert/$stem.pub
  rm cert/$stem.pub
}
span=20260101000000:20360101000000
for key in ed25519 rsa ecdsa256 ecdsa384 ecdsa521 dsa; do
  sign ed25519 host_$key $key -h -I "host $key" -n host.example,10.0.0.1 -z 7 -V $span
  sign ed25519 user_$key $key -I "user $key" -n alice,bob -z 8 -V $span
done
sign rsa host_by_rsa512 ed25519 -h -I r512 -n host.example -V $span -t rsa-sha2-512
sign rsa host_by_rsa256 ed25519 -h -I r256 -n host.example -V $span -t rsa-sha2-256
sign rsa host_by_rsa_sha1 ed25519 -h -I rsha1 -n host.example -V $span -t ssh-rsa
sign ecdsa256 host_by_ecdsa ed25519 -h -I e256 -n host.example -V $span
sign ed25519 user_options ed25519 -I options -n alice -V $span -O force-command=/bin/true \
  -O source-address=10.0.0.0/8 -O no-pty -O verify-required
sign ed25519 user_unknown ed25519 -I unknown -n alice -V $span -O critical:new@example.com=1
sign ed25519 host_critical ed25519 -h -I critical -n host.example -V $span -O critical:new@example.com=1
sign ed25519 host_anyone ed25519 -h -I anyone -V $span
sign ed25519 user_anyone ed25519 -I anyone
sign ed25519 serial_20 ed25519 -I serial20 -n alice -z 20 -V $span
sign ed25519 serial_300 ed25519 -I serial300 -n alice -z 300 -V $span
rm cert/ca_*

# key revocation lists
ssh-keygen -q -k -f krl/keys openssh/ecdsa256.pub openssh/rsa.pub
printf 'sha1: %s\n' "$(cat openssh/ecdsa384.pub)" > krl/spec
printf 'sha256: %s\n' "$(cat openssh/ecdsa521.pub)" >> krl/spec
printf 'hash: %s\n' "$(ssh-keygen -l -f openssh/dsa.pub | cut -d' ' -f2)" >> krl/spec
ssh-keygen -q -k -f krl/hashes krl/spec
printf 'serial: 7\nserial: 10-20\nserial: 300\nserial: 302\nserial: 305\nserial: 99999\nid: user ecdsa256\n' > krl/spec
ssh-keygen -q -k -f krl/certs -s openssh/ed25519.pub -z 5 krl/spec
ssh-keygen -q -k -f krl/anyca -s none krl/spec
ssh-keygen -q -k -f krl/authority openssh/ed25519.pub
rm krl/spec
