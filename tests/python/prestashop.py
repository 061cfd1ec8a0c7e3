"""Takes or refuses a token as a PrestaShop does, in one of its two ways.

`internal` is the shop's own authorization server: it knows the public key, and lets lcobucci/jwt verify the signature (RS256) and the
times (StrictValidAt on the system's clock, no leeway). `external` is its Keycloak connector: it fetches the key set and verifies with the
certificate in `x5c` of the key that `kid` names.

Its input is one JSON object: way, issuer, jwks_uri, token. It prints one: accepted, with client and scopes, or why not.
"""

import base64
import json
import sys
import time

import requests
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jws
from joserfc.errors import BadSignatureError
from joserfc.jwk import RSAKey

WITHIN = 60


class Refused(Exception):
    pass


def expect(condition, why):
    if not condition:
        raise Refused(why)


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def is_texts(value):
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def within_its_time(claims):
    """lcobucci's StrictValidAt: every claim is there, and the shop's clock is right."""
    now = time.time()
    for name in ("iat", "nbf", "exp"):
        expect(isinstance(claims.get(name), (int, float)), name)
    expect(claims["nbf"] <= now, "nbf")
    expect(claims["iat"] <= now, "iat")
    expect(now < claims["exp"], "exp")


def key_of(given, header):
    keys = requests.get(given["jwks_uri"], timeout=WITHIN).json()["keys"]
    found = [key for key in keys if key.get("kid") == header.get("kid")]
    expect(len(found) == 1, "kid")
    return found[0]


def internal(given, header, claims):
    own = key_of(given, header)
    key = RSAKey.import_key({"kty": "RSA", "n": own["n"], "e": own["e"]})
    try:
        jws.deserialize_compact(given["token"], key, algorithms=["RS256"])
    except BadSignatureError:
        raise Refused("signature")
    within_its_time(claims)
    expect(isinstance(claims.get("aud"), str), "aud")
    expect(is_texts(claims.get("scopes")), "scopes")
    return claims["aud"], claims["scopes"]


def external(given, header, claims):
    own = key_of(given, header)
    expect(is_texts(own.get("x5c")) and own["x5c"], "x5c")
    # RFC 7517 section 4.7: base64, not base64url.
    certificate = x509.load_der_x509_certificate(base64.b64decode(own["x5c"][0], validate=True))
    public = certificate.public_key()
    expect(isinstance(public, rsa.RSAPublicKey), "x5c")
    # The connector does not look, and a certificate that is not whole would be nothing to hand out.
    certificate.verify_directly_issued_by(certificate)
    expect(certificate.not_valid_before_utc.timestamp() < time.time() < certificate.not_valid_after_utc.timestamp(), "x5c")
    signed, _, signature = given["token"].rpartition(".")
    try:
        public.verify(decoded(signature), signed.encode(), padding.PKCS1v15(), SHA256())
    except InvalidSignature:
        raise Refused("signature")
    within_its_time(claims)
    expect(claims.get("iss") == given["issuer"], "iss")
    client = claims.get("client_id", claims.get("clientId"))
    expect(isinstance(client, str) and client, "client_id")
    expect(isinstance(claims.get("scope"), str), "scope")
    return client, claims["scope"].split()


def main():
    given = json.load(sys.stdin)
    header, claims = (json.loads(decoded(part)) for part in given["token"].split(".")[:2])
    try:
        expect(header.get("alg") == "RS256", "alg")
        client, scopes = {"internal": internal, "external": external}[given["way"]](given, header, claims)
        said = {"accepted": True, "client": client, "scopes": scopes}
    except Refused as refused:
        said = {"accepted": False, "why": str(refused)}
    print(json.dumps(said))


main()
