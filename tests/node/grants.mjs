// Runs every grant with oauth4webapi, which checks what it is answered against the RFCs, clause by clause.
//
// The first line of its input says who it may be; where everything is, it learns from the issuer's metadata (RFC 8414). Where a
// person must decide, it prints `allow URL` or `deny URL` and reads where the browser was sent. Every step that went well is a line
// `ok STEP`; the first that does not ends the program.

import { webcrypto } from 'node:crypto'
import { createInterface } from 'node:readline'
import * as oauth from 'oauth4webapi'

// Node 18 has them, but not by these names.
globalThis.crypto ??= webcrypto
globalThis.CryptoKey ??= webcrypto.CryptoKey

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const line = async () => (await lines.next()).value
const given = JSON.parse(await line())

// There is no TLS on the loopback.
const plain = { [oauth.allowInsecureRequests]: true }
const by = (who) => ({ client_id: who.id })
const basic = (who) => oauth.ClientSecretBasic(who.secret)
const post = (who) => oauth.ClientSecretPost(who.secret)
const done = (step) => console.log(`ok ${step}`)

function expect(condition, what) {
  if (!condition) throw new Error(`expected: ${what}`)
}

async function refusal(work) {
  try {
    await work()
  } catch (error) {
    return error
  }
  throw new Error('expected: a refusal')
}

async function discover() {
  const issuer = new URL(given.issuer)
  const response = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...plain })
  const as = await oauth.processDiscoveryResponse(issuer, response)
  const expected = ['authorization_code', 'client_credentials', 'password', 'refresh_token']
  for (const grant of expected) expect(as.grant_types_supported.includes(grant), `the metadata lists ${grant}`)
  expect(as.code_challenge_methods_supported.includes('S256'), 'the metadata lists S256')
  expect(as.authorization_response_iss_parameter_supported, 'the metadata promises iss')
  return as
}

async function clientCredentials(as, auth) {
  const who = given.service
  const response = await oauth.clientCredentialsGrantRequest(as, by(who), auth(who), { scope: 'orders:read' }, plain)
  const tokens = await oauth.processClientCredentialsResponse(as, by(who), response)
  expect(tokens.scope === 'orders:read', 'the scope that was asked for')
  expect(tokens.expires_in > 0, 'a lifetime')
  expect(tokens.refresh_token === undefined, 'no refresh token (RFC 6749 section 4.4.3)')
  return tokens.access_token
}

// As a resource server that has nothing but the metadata (RFC 9068 section 4).
function validate(as, token) {
  const request = new Request(given.issuer, { headers: { authorization: `Bearer ${token}` } })
  return oauth.validateJwtAccessToken(as, request, given.audience, plain)
}

async function introspect(as, token) {
  const who = given.resource
  const response = await oauth.introspectionRequest(as, by(who), basic(who), token, plain)
  return oauth.processIntrospectionResponse(as, by(who), response)
}

async function expectActive(as, token, who) {
  const told = await introspect(as, token)
  expect(told.active && told.client_id === who.id, `introspection says active, and whose it is: ${JSON.stringify(told)}`)
  expect(told.iss === given.issuer, 'introspection says who issued it')
}

async function expectInactive(as, token) {
  const told = await introspect(as, token)
  expect(JSON.stringify(told) === '{"active":false}', `inactive, and nothing else: ${JSON.stringify(told)}`)
}

async function revoke(as, who, auth, token, hint) {
  const additionalParameters = { token_type_hint: hint }
  const response = await oauth.revocationRequest(as, by(who), auth, token, { additionalParameters, ...plain })
  await oauth.processRevocationResponse(response)
}

async function password(as) {
  const who = given.shop
  const fields = { username: given.username, password: given.password, scope: 'orders:read' }
  const response = await oauth.genericTokenEndpointRequest(as, by(who), basic(who), 'password', fields, plain)
  return oauth.processGenericTokenEndpointResponse(as, by(who), response)
}

// Sends a person to the issuer; where they came back to.
async function authorize(as, who, decision, verifier, state) {
  const url = new URL(as.authorization_endpoint)
  const fields = {
    response_type: 'code',
    client_id: who.id,
    redirect_uri: given.redirect_uri,
    scope: 'orders:read orders:write',
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  }
  for (const [name, value] of Object.entries(fields)) url.searchParams.set(name, value)
  console.log(`${decision} ${url}`)
  return new URL(await line())
}

async function authorizationCode(as, who, auth) {
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const back = await authorize(as, who, 'allow', verifier, state)
  // Compares state and iss.
  const answer = oauth.validateAuthResponse(as, by(who), back, state)
  const redeem = () =>
    oauth.authorizationCodeGrantRequest(as, by(who), auth, answer, given.redirect_uri, verifier, plain)
  const tokens = await oauth.processAuthorizationCodeResponse(as, by(who), await redeem())
  expect(tokens.scope === 'orders:read orders:write', 'the scopes that were allowed')
  expect(tokens.refresh_token, 'a refresh token')
  return tokens
}

async function refresh(as, who, auth, token) {
  const response = await oauth.refreshTokenGrantRequest(as, by(who), auth, token, plain)
  return oauth.processRefreshTokenResponse(as, by(who), response)
}

async function denied(as, who) {
  const state = oauth.generateRandomState()
  const back = await authorize(as, who, 'deny', oauth.generateRandomCodeVerifier(), state)
  const error = await refusal(async () => oauth.validateAuthResponse(as, by(who), back, state))
  expect(error instanceof oauth.AuthorizationResponseError, `an error the library can read: ${error}`)
  expect(error.error === 'access_denied', `access_denied: ${error.error}`)
}

async function refusals(as) {
  const wrong = { id: given.service.id, secret: 'wrong' }
  const unknown = await refusal(async () => {
    const response = await oauth.clientCredentialsGrantRequest(as, by(wrong), basic(wrong), {}, plain)
    return oauth.processClientCredentialsResponse(as, by(wrong), response)
  })
  // The library reads the challenge before the body.
  expect(unknown instanceof oauth.WWWAuthenticateChallengeError, `a challenge: ${unknown}`)
  expect(unknown.status === 401 && unknown.cause.some((c) => c.scheme === 'basic'), 'a challenge for Basic, with 401')
  const who = given.app
  const spent = await refusal(() => refresh(as, who, oauth.None(), 'never-issued'))
  expect(spent instanceof oauth.ResponseBodyError, `an error the library can read: ${spent}`)
  expect(spent.status === 400 && spent.error === 'invalid_grant', `invalid_grant: ${spent.error}`)
}

async function run() {
  const as = await discover()
  done('metadata')

  const token = await clientCredentials(as, basic)
  await clientCredentials(as, post)
  done('client_credentials')

  const claims = await validate(as, token)
  expect(claims.client_id === given.service.id && claims.scope === 'orders:read', 'the claims of RFC 9068')
  done('access token')

  await expectActive(as, token, given.service)
  await expectInactive(as, 'never-issued')
  done('introspection')

  await revoke(as, given.service, basic(given.service), token, 'access_token')
  await expectInactive(as, token)
  done('revocation')

  const direct = await password(as)
  await expectActive(as, direct.access_token, given.shop)
  done('password')

  const web = await authorizationCode(as, given.web, basic(given.web))
  const person = await validate(as, web.access_token)
  expect(person.sub !== given.web.id, 'the token is for the person, not for the client')
  await expectActive(as, web.access_token, given.web)
  done('authorization_code')

  const next = await refresh(as, given.web, basic(given.web), web.refresh_token)
  expect(next.refresh_token && next.refresh_token !== web.refresh_token, 'another refresh token')
  await validate(as, next.access_token)
  await expectActive(as, next.access_token, given.web)
  const last = await refresh(as, given.web, basic(given.web), next.refresh_token)
  done('refresh_token')

  await revoke(as, given.web, basic(given.web), last.refresh_token, 'refresh_token')
  await expectInactive(as, last.access_token)
  const ended = await refusal(() => refresh(as, given.web, basic(given.web), last.refresh_token))
  expect(ended.error === 'invalid_grant', `invalid_grant: ${ended}`)
  done('revocation of a refresh token')

  await denied(as, given.app)
  done('denied')

  const app = await authorizationCode(as, given.app, oauth.None())
  await refresh(as, given.app, oauth.None(), app.refresh_token)
  done('public client')

  await refusals(as)
  done('refusals')
}

try {
  await run()
  process.exit(0)
} catch (error) {
  console.error(error, error.cause)
  process.exit(1)
}
