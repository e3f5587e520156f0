// A peer of the lab: openid-client 6, which checks strictly, with people in Chromium.
import assert from 'node:assert/strict';
import { Site, check, done, lab, register, take } from './stand.mjs';
import { code, network, open, press, put, type } from '../../e2e/browser.mjs';
import * as client from 'openid-client';
import * as jose from 'jose';

const site = await new Site().open();
const callback = site.origin + '/callback';
const issuer = new URL(lab.sso);
const everything = {
  redirect_uris: [callback], post_logout_redirect_uris: [site.origin + '/bye'], grant_types: ['authorization_code', 'refresh_token'],
};

/** discover gives a configuration that checks every signature, also those that TLS covers. */
async function discover(id, metadata, auth) {
  const config = await client.discovery(issuer, id, metadata, auth);
  client.enableNonRepudiationChecks(config);
  return config;
}

/** begin makes the parameters of a request and what the answer is checked against. */
async function begin(extra = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier();
  const checks = { pkceCodeVerifier, expectedNonce: client.randomNonce(), expectedState: client.randomState(), idTokenExpected: true };
  const parameters = {
    redirect_uri: callback, scope: 'openid profile email', state: checks.expectedState, nonce: checks.expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256', ...extra,
  };
  return { checks, parameters };
}

/** walk opens an address and answers the gate's pages until it is left; it tells what was asked. */
async function walk(page, url, who) {
  const asked = [];
  await page.goto(url.href, { waitUntil: 'load' });
  for (let n = 0; n < 8; n++) {
    // A form_post page goes on by itself.
    await page.waitForFunction(() => !document.querySelector('#response'), { timeout: 30000 });
    if (!page.url().startsWith(lab.sso + '/login/')) return asked;
    const kind = await page.evaluate(() => document.querySelector('form.step input[name=kind]')?.value
      ?? (document.querySelector('input[name=agree]') ? 'agree' : 'username'));
    asked.push(kind);
    if (kind === 'username') await type(page, 'input[name=username]', who.user);
    else if (kind === 'password') await type(page, 'input[name=password]', who.password);
    else if (kind === 'totp') await put(page, 'input[name=code]', code(who.totp_secret));
    else if (kind === 'agree') await page.click('input[name=agree]');
    if (page.url().startsWith(lab.sso + '/login/') && await page.$('form.step button.primary')) {
      await press(page, 'form.step button.primary');
    }
  }
  throw new Error('no end in sight at ' + page.url());
}

/** signIn goes through a whole code flow. */
async function signIn(config, page, who, { parameters, checks }, url = client.buildAuthorizationUrl(config, parameters)) {
  const asked = await walk(page, url, who);
  const came = await site.came(checks.expectedState);
  const current = came.method === 'POST'
    ? new Request(came.url, { method: 'POST', body: came.body, headers: { 'content-type': came.type } }) : came.url;
  const tokens = await client.authorizationCodeGrant(config, current, checks);
  return { asked, came, tokens, claims: tokens.claims() };
}

async function person(browser, where = 'campus') {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await network(page, where);
  return page;
}

const browser = await open('chrome');

let basic;
await check('discovery, client_secret_basic', async () => {
  const secret = register('lab-openid-client', { ...everything, client_secret: 'new', backchannel_logout_uri: site.origin + '/backchannel', backchannel_logout_session_required: true });
  basic = await discover('lab-openid-client', undefined, client.ClientSecretBasic(secret));
  assert.equal(basic.serverMetadata().issuer, lab.sso);
  assert.ok(basic.serverMetadata().supportsPKCE());
});

await check('Chromium: password on campus, PKCE, userinfo', async () => {
  const who = take(false);
  const page = await person(browser);
  const { asked, tokens, claims } = await signIn(basic, page, who, await begin());
  assert.ok(asked.includes('password') && !asked.includes('totp'), String(asked));
  assert.equal(claims.acr, 'aal1');
  const info = await client.fetchUserInfo(basic, tokens.access_token, claims.sub);
  assert.equal(info.preferred_username, who.user);
  assert.equal(info.email_verified, true);
});

await check('Chromium: password and one-time code from home', async () => {
  const page = await person(browser, 'home');
  const { asked, claims } = await signIn(basic, page, take(true), await begin());
  assert.ok(asked.includes('totp'), String(asked));
  assert.equal(claims.acr, 'aal2');
  assert.ok(claims.amr.includes('mfa'));
});

await check('Chromium: a second sign-in is silent, prompt=login and max_age are not', async () => {
  const who = take(false);
  const page = await person(browser);
  const first = await signIn(basic, page, who, await begin());
  const again = await signIn(basic, page, who, await begin({ prompt: 'none' }));
  assert.deepEqual(again.asked, []);
  assert.equal(again.claims.sub, first.claims.sub);
  const forced = await signIn(basic, page, who, await begin({ prompt: 'login' }));
  assert.ok(forced.asked.includes('password'), String(forced.asked));
  await new Promise((r) => setTimeout(r, 2100));
  const old = await begin({ max_age: '1' });
  old.checks.maxAge = 1;
  const fresh = await signIn(basic, page, who, old);
  assert.ok(fresh.asked.includes('password') && fresh.claims.auth_time > first.claims.auth_time);
});

await check('prompt=none without a session is login_required', async () => {
  const page = await person(browser);
  const { parameters, checks } = await begin({ prompt: 'none' });
  await walk(page, client.buildAuthorizationUrl(basic, parameters));
  const came = await site.came(checks.expectedState);
  await assert.rejects(client.authorizationCodeGrant(basic, came.url, checks), (e) => e.error === 'login_required');
});

await check('Chromium: form_post', async () => {
  const page = await person(browser);
  const { came, claims } = await signIn(basic, page, take(false), await begin({ response_mode: 'form_post' }));
  assert.equal(came.method, 'POST');
  assert.equal(came.url.search, '');
  assert.ok(claims.sub);
});

await check('refresh, introspection, revocation', async () => {
  const page = await person(browser);
  const { tokens, claims } = await signIn(basic, page, take(false), await begin());
  const fresh = await client.refreshTokenGrant(basic, tokens.refresh_token);
  assert.equal(fresh.claims().sub, claims.sub);
  assert.notEqual(fresh.refresh_token, tokens.refresh_token);
  const told = await client.tokenIntrospection(basic, fresh.access_token);
  assert.ok(told.active && told.sub === claims.sub && told.client_id === 'lab-openid-client', JSON.stringify(told));
  await client.tokenRevocation(basic, fresh.refresh_token);
  assert.equal((await client.tokenIntrospection(basic, fresh.access_token)).active, false);
  await assert.rejects(client.refreshTokenGrant(basic, fresh.refresh_token), (e) => e.error === 'invalid_grant');
});

await check('Chromium: sign-out with a hint comes back with its state, and the service is told', async () => {
  const page = await person(browser);
  const { tokens, claims } = await signIn(basic, page, take(false), await begin());
  const state = client.randomState();
  const told = site.came('/backchannel');
  await page.goto(client.buildEndSessionUrl(basic, { post_logout_redirect_uri: site.origin + '/bye', id_token_hint: tokens.id_token, state }).href, { waitUntil: 'load' });
  assert.equal(page.url(), `${site.origin}/bye?state=${state}`);
  await site.came(state);
  const keys = jose.createRemoteJWKSet(new URL(basic.serverMetadata().jwks_uri));
  const logout = await jose.jwtVerify((await told).form.get('logout_token'), keys, { issuer: lab.sso, audience: 'lab-openid-client', typ: 'logout+jwt', requiredClaims: ['jti', 'iat', 'exp', 'events'] });
  assert.equal(logout.payload.sid, claims.sid);
  assert.ok(logout.payload.events['http://schemas.openid.net/event/backchannel-logout'] && !('nonce' in logout.payload));
  await assert.rejects(client.fetchUserInfo(basic, tokens.access_token, claims.sub));
});

await check('Chromium: sign-out without a hint asks the person first', async () => {
  const page = await person(browser);
  const who = take(false);
  await signIn(basic, page, who, await begin());
  await page.goto(basic.serverMetadata().end_session_endpoint, { waitUntil: 'load' });
  await signIn(basic, page, who, await begin({ prompt: 'none' })); // nothing has happened yet
  await page.goto(basic.serverMetadata().end_session_endpoint, { waitUntil: 'load' });
  await press(page, 'form button.primary');
  const { parameters, checks } = await begin({ prompt: 'none' });
  await walk(page, client.buildAuthorizationUrl(basic, parameters));
  assert.equal((await site.came(checks.expectedState)).url.searchParams.get('error'), 'login_required');
});

await check('private_key_jwt, signed request object, pushed: the request never passes the browser', async () => {
  const { publicKey, privateKey } = await jose.generateKeyPair('ES256');
  const kid = 'lab-1';
  const jwk = { ...await jose.exportJWK(publicKey), kid, use: 'sig', alg: 'ES256' };
  register('lab-openid-client-jwt', {
    ...everything, token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [jwk] }, id_token_signed_response_alg: 'RS256',
    require_pushed_authorization_requests: true, require_signed_request_object: true,
  });
  const key = { key: privateKey, kid };
  const config = await discover('lab-openid-client-jwt', { id_token_signed_response_alg: 'RS256' }, client.PrivateKeyJwt(key));
  const page = await person(browser);
  const request = await begin({ response_mode: 'form_post' });
  const signed = await client.buildAuthorizationUrlWithJAR(config, request.parameters, key);
  const url = await client.buildAuthorizationUrlWithPAR(config, signed.searchParams);
  assert.deepEqual([...url.searchParams.keys()].sort(), ['client_id', 'request_uri']);
  const { tokens, claims } = await signIn(config, page, take(false), request, url);
  const fresh = await client.refreshTokenGrant(config, tokens.refresh_token);
  assert.equal(fresh.claims().sub, claims.sub);
  assert.ok((await client.tokenIntrospection(config, fresh.access_token)).active);
  await client.tokenRevocation(config, fresh.access_token);
  await assert.rejects(client.fetchUserInfo(config, fresh.access_token, claims.sub));
  // The same client may not ask in the open.
  const plain = await begin();
  await walk(await person(browser), client.buildAuthorizationUrl(config, plain.parameters));
  assert.equal((await site.came(plain.checks.expectedState)).url.searchParams.get('error'), 'invalid_request');
});

await check('a client without a secret, and subjects that services cannot compare', async () => {
  register('lab-openid-client-public', { ...everything, token_endpoint_auth_method: 'none' }, { pairwise: true });
  const config = await discover('lab-openid-client-public', { token_endpoint_auth_method: 'none' }, client.None());
  const who = take(false);
  const page = await person(browser);
  const open = await signIn(basic, page, who, await begin());
  const apart = await signIn(config, page, who, await begin());
  assert.notEqual(apart.claims.sub, open.claims.sub);
  const fresh = await client.refreshTokenGrant(config, apart.tokens.refresh_token);
  assert.equal(fresh.claims().sub, apart.claims.sub);
});

await browser.close();
done();
