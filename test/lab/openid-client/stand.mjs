// What this peer needs of the lab: the gate, a server of its own, registrations and
// the report.
import { execFileSync } from 'node:child_process';
import dns from 'node:dns';
import { closeSync, openSync, readFileSync } from 'node:fs';
import https from 'node:https';
import { join } from 'node:path';

export const lab = JSON.parse(readFileSync(process.env.LAB, 'utf8'));
export const host = 'openid-client.localhost';

// Names below localhost are this machine (RFC 6761 6.3), whatever the resolver says.
const lookup = dns.lookup;
dns.lookup = (name, options, done) => {
  if (typeof options === 'function') [options, done] = [{}, options];
  if (!name.endsWith('.localhost')) return lookup(name, options, done);
  if (options.all) return done(null, [{ address: '127.0.0.1', family: 4 }]);
  return done(null, '127.0.0.1', 4);
};

let failed = false;

/** check runs one check and prints its line. */
export async function check(name, work) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('not done within 2 minutes')), 120000); });
  try {
    await Promise.race([work(), late]);
    console.log('ok   openid-client: ' + name);
  } catch (e) {
    failed = true;
    const cause = e.cause ? ' / ' + (e.cause.message ?? JSON.stringify(e.cause)) : '';
    console.log(`FAIL openid-client: ${name}: ${e.message ?? e}${cause}`.replaceAll('\n', ' '));
  } finally {
    clearTimeout(timer);
  }
}

export function done() { process.exit(failed ? 1 : 0); }

/** take gives a person without troubles whom nobody else uses, with an app for one-time codes or without. */
export function take(app) {
  for (const p of lab.people) {
    if (p.trouble || Boolean(p.totp_secret) !== app) continue;
    try {
      closeSync(openSync(join(lab.taken, p.user), 'wx'));
      return p;
    } catch (e) {
      if (e.code !== 'EEXIST') throw e;
    }
  }
  throw new Error('nobody is left');
}

/** register adds a service with the program's own command and gives its secret. */
export function register(id, registration, more = {}) {
  const party = {
    id, protocol: 'oidc', names: { ja: id, en: id }, consent: 'none', registration,
    release: ['userName', 'displayName', 'mail'].map((attribute) => ({ attribute })), ...more,
  };
  const out = execFileSync(lab.program, ['--config', lab.config, 'party', 'import', '-', '--json'], { input: JSON.stringify(party), timeout: 60000 });
  return JSON.parse(out)[id].client_secret;
}

/** Site is where people and the gate come back to. */
export class Site {
  #waiting = new Map();
  #come = new Map();

  async open() {
    const server = https.createServer({ cert: readFileSync(`${lab.work}/${host}.pem`), key: readFileSync(`${lab.work}/${host}.key`) }, (req, res) => {
      const parts = [];
      req.on('data', (d) => parts.push(d));
      req.on('end', () => this.#arrived(req, res, Buffer.concat(parts).toString()));
    });
    await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
    this.origin = `https://${host}:${server.address().port}`;
    return this;
  }

  #arrived(req, res, body) {
    const url = new URL(req.url, this.origin);
    const form = new URLSearchParams(body);
    const came = { method: req.method, url, body, form, type: req.headers['content-type'] };
    const key = url.pathname === '/backchannel' ? url.pathname : url.searchParams.get('state') ?? form.get('state') ?? url.pathname;
    res.setHeader('Cache-Control', 'no-store');
    res.setHeader('Content-Type', 'text/html; charset=utf-8');
    res.end(`<!doctype html><title>arrived</title><p id="arrived">${url.pathname}</p>`);
    if (this.#waiting.has(key)) this.#waiting.get(key)(came); else this.#come.set(key, came);
    this.#waiting.delete(key);
  }

  /** came waits for what arrives with a state, or at a path. */
  came(key) {
    if (this.#come.has(key)) {
      const found = this.#come.get(key);
      this.#come.delete(key);
      return Promise.resolve(found);
    }
    return new Promise((resolve) => this.#waiting.set(key, resolve));
  }
}
