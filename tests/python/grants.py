"""Runs every grant with Authlib.

The first line of its input says who it may be; where everything is, it learns from the issuer's metadata (RFC 8414). Where a person
must decide, it prints `allow URL` or `deny URL` and reads where the browser was sent. Every step that went well is a line `ok STEP`;
the first that does not ends the program.
"""

import json
import sys
from urllib.parse import parse_qs, urlsplit

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2 import rfc8414, rfc9068, rfc9207
from authlib.oauth2.rfc6749.parameters import parse_authorization_code_response
from joserfc.jwk import KeySet

GRANTS = {"authorization_code", "client_credentials", "password", "refresh_token"}
SCOPES = "orders:read orders:write"
WITHIN = 60


def expect(condition, what):
    if not condition:
        raise AssertionError(f"expected: {what}")


def done(step):
    print(f"ok {step}", flush=True)


def refusal(work):
    try:
        work()
    except OAuthError as error:
        return error.error
    raise AssertionError("expected: a refusal")


def discover(issuer):
    answer = requests.get(rfc8414.get_well_known_url(issuer, external=True), timeout=WITHIN)
    answer.raise_for_status()
    metadata = rfc8414.AuthorizationServerMetadata(answer.json())
    metadata.validate(metadata_classes=[rfc9207.AuthorizationServerMetadata])
    # RFC 8414 section 3.3.
    expect(metadata["issuer"] == issuer, "the issuer that was asked")
    expect(GRANTS <= set(metadata["grant_types_supported"]), f"the metadata lists {GRANTS}")
    expect("S256" in metadata["code_challenge_methods_supported"], "the metadata lists S256")
    expect(metadata["authorization_response_iss_parameter_supported"] is True, "the metadata promises iss")
    return metadata


class Validator(rfc9068.JWTBearerTokenValidator):
    """A resource server that has nothing but the metadata (RFC 9068 section 4)."""

    def __init__(self, metadata, audience):
        super().__init__(issuer=metadata["issuer"], resource_server=audience)
        self.jwks_uri = metadata["jwks_uri"]

    def get_jwks(self):
        return KeySet.import_key_set(requests.get(self.jwks_uri, timeout=WITHIN).json())

    def validate(self, token, scopes):
        claims = self.authenticate_token(token)
        self.validate_token(claims, scopes, None)
        return claims


class Journey:
    def __init__(self, given):
        self.given = given
        self.metadata = discover(given["issuer"])
        self.validator = Validator(self.metadata, given["audience"])
        self.token_endpoint = self.metadata["token_endpoint"]

    def session(self, name, **more):
        who = self.given[name]
        return OAuth2Session(
            who["id"],
            who.get("secret"),
            code_challenge_method="S256",
            redirect_uri=self.given["redirect_uri"],
            token_endpoint=self.token_endpoint,
            default_timeout=WITHIN,
            **more,
        )

    def introspect(self, token):
        # As the resource server.
        answer = self.session("resource").introspect_token(self.metadata["introspection_endpoint"], token=token)
        expect(answer.status_code == 200, f"an answer to introspection: {answer.status_code} {answer.text}")
        return answer.json()

    def expect_active(self, token, name):
        told = self.introspect(token)
        expect(told["active"] is True and told["client_id"] == self.given[name]["id"], f"active, and whose: {told}")
        expect(told["iss"] == self.given["issuer"], "introspection says who issued it")

    def expect_inactive(self, token):
        told = self.introspect(token)
        expect(told == {"active": False}, f"inactive, and nothing else: {told}")

    def revoke(self, session, token, hint):
        endpoint = self.metadata["revocation_endpoint"]
        answer = session.revoke_token(endpoint, token=token, token_type_hint=hint)
        expect(answer.status_code == 200, f"a revocation: {answer.status_code} {answer.text}")

    def client_credentials(self, method):
        session = self.session("service", token_endpoint_auth_method=method)
        token = session.fetch_token(grant_type="client_credentials", scope="orders:read")
        expect(token["scope"] == "orders:read", "the scope that was asked for")
        expect(token["token_type"].lower() == "bearer" and token["expires_in"] > 0, "a Bearer token that expires")
        expect("refresh_token" not in token, "no refresh token (RFC 6749 section 4.4.3)")
        return session, token["access_token"]

    def authorize(self, session, decision, verifier):
        """Sends a person to the issuer; where they came back to, and the state that was sent along."""
        endpoint = self.metadata["authorization_endpoint"]
        url, state = session.create_authorization_url(endpoint, code_verifier=verifier, scope=SCOPES)
        print(f"{decision} {url}", flush=True)
        back = sys.stdin.readline().strip()
        # RFC 9207 section 2.4, which Authlib leaves to its caller.
        expect(parse_qs(urlsplit(back).query).get("iss") == [self.given["issuer"]], f"one iss: {back}")
        return back, state

    def authorization_code(self, name):
        session = self.session(name)
        verifier = generate_token(64)
        back, state = self.authorize(session, "allow", verifier)
        parse_authorization_code_response(back, state=state)
        token = session.fetch_token(authorization_response=back, state=state, code_verifier=verifier)
        expect(token["scope"] == SCOPES, "the scopes that were allowed")
        claims = self.validator.validate(token["access_token"], [SCOPES])
        expect(claims["sub"] != self.given[name]["id"], "the token is for the person, not for the client")
        self.expect_active(token["access_token"], name)
        return session, token

    def refresh(self, session, name):
        before = dict(session.token)
        after = session.refresh_token()
        expect(after["refresh_token"] != before["refresh_token"], "another refresh token")
        self.expect_active(after["access_token"], name)
        return after

    def denied(self):
        session = self.session("app")
        back, state = self.authorize(session, "deny", generate_token(64))
        answer = parse_qs(urlsplit(back).query)
        expect(answer["error"] == ["access_denied"] and answer["state"] == [state], f"a denial: {back}")
        expect("code" not in answer, f"no code: {back}")


def run(given):
    journey = Journey(given)
    done("metadata")

    service, token = journey.client_credentials("client_secret_basic")
    journey.client_credentials("client_secret_post")
    done("client_credentials")

    claims = journey.validator.validate(token, ["orders:read"])
    expect(claims["client_id"] == given["service"]["id"], "the claims of RFC 9068")
    done("access token")

    journey.expect_active(token, "service")
    journey.expect_inactive("never-issued")
    done("introspection")

    journey.revoke(service, token, "access_token")
    journey.expect_inactive(token)
    done("revocation")

    shop = journey.session("shop")
    direct = shop.fetch_token(username=given["username"], password=given["password"], scope="orders:read")
    journey.expect_active(direct["access_token"], "shop")
    done("password")

    web, _ = journey.authorization_code("web")
    done("authorization_code")

    journey.refresh(web, "web")
    last = journey.refresh(web, "web")
    done("refresh_token")

    journey.revoke(web, last["refresh_token"], "refresh_token")
    journey.expect_inactive(last["access_token"])
    expect(refusal(web.refresh_token) == "invalid_grant", "invalid_grant")
    done("revocation of a refresh token")

    journey.denied()
    done("denied")

    app, _ = journey.authorization_code("app")
    journey.refresh(app, "app")
    done("public client")

    wrong = OAuth2Session(given["service"]["id"], "wrong", token_endpoint=journey.token_endpoint)
    expect(refusal(lambda: wrong.fetch_token(grant_type="client_credentials")) == "invalid_client", "invalid_client")
    never = journey.session("app")
    expect(refusal(lambda: never.refresh_token(refresh_token="never-issued")) == "invalid_grant", "invalid_grant")
    done("refusals")


if __name__ == "__main__":
    run(json.loads(sys.stdin.readline()))
