import type { IncomingMessage } from 'node:http';
import test from 'ava';
import { Auth, type AuthOptions, isLoopback, opens, parseToken } from '../src/auth.js';
import {
  HostRefusedError,
  OptionError,
  OriginRefusedError,
  UnauthorizedError,
} from '../src/errors.js';

const SECRET = '0123456789abcdef';
const OTHER = 'fedcba9876543210';

function auth(options: Partial<AuthOptions> = {}): Auth {
  return new Auth({ host: '127.0.0.1', tokens: [], allowOrigins: [], ...options });
}

function request(headers: Record<string, string>): IncomingMessage {
  return { headers: { host: '127.0.0.1:80', ...headers } } as unknown as IncomingMessage;
}

const url = (path = '/') => new URL(`http://bridge${path}`);

test('a token is a secret with a scope', (t) => {
  t.deepEqual(parseToken(SECRET), { secret: SECRET, access: 'control' });
  t.deepEqual(parseToken(`${SECRET},session=vm-1,access=view`), {
    secret: SECRET,
    session: 'vm-1',
    access: 'view',
  });
  for (const bad of [
    '',
    'short',
    `${SECRET},access=all`,
    `${SECRET},what=1`,
    `${SECRET},session=`,
  ]) {
    t.throws(() => parseToken(bad), { instanceOf: OptionError }, bad);
  }
});

test('an address that others reach needs a token', (t) => {
  for (const host of ['0.0.0.0', '::', '192.0.2.1', 'desk.example']) {
    t.throws(() => auth({ host }), { instanceOf: OptionError }, host);
    t.notThrows(() => auth({ host, tokens: [parseToken(SECRET)] }), host);
  }
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', '[::1]', 'localhost'])
    t.true(isLoopback(host));
});

test('tokens open what they say, by header or by query', (t) => {
  const both = auth({ tokens: [parseToken(SECRET), parseToken(`${OTHER},session=a,access=view`)] });
  t.deepEqual(both.grant(request({ authorization: `Bearer ${SECRET}` }), url()), {
    access: 'control',
  });
  const one = both.grant(request({}), url(`/?token=${OTHER}`));
  t.deepEqual(one, { access: 'view', session: 'a' });
  t.true(opens(one, 'a'));
  t.false(opens(one, 'b'));
  for (const given of ['', `${SECRET}x`, SECRET.slice(1), SECRET.toUpperCase()]) {
    t.throws(() => both.grant(request({}), url(`/?token=${given}`)), {
      instanceOf: UnauthorizedError,
    });
  }
  t.throws(() => both.grant(request({}), url()), { instanceOf: UnauthorizedError });
});

test('without tokens this machine may do all', (t) => {
  t.deepEqual(auth().grant(request({}), url()), { access: 'control' });
});

test('a page of somewhere else may not', (t) => {
  const checks = auth({ allowOrigins: ['https://portal.example'] });
  t.notThrows(() => checks.checkOrigin(request({})));
  t.notThrows(() => checks.checkOrigin(request({ origin: 'http://127.0.0.1:80' })));
  t.notThrows(() => checks.checkOrigin(request({ origin: 'https://portal.example' })));
  for (const origin of ['http://evil.example', 'null', 'https://portal.example:444', '']) {
    t.throws(
      () => checks.checkOrigin(request({ origin })),
      { instanceOf: OriginRefusedError },
      origin,
    );
  }
});

test('a name that leads to loopback is refused (DNS rebinding)', (t) => {
  const checks = auth({ allowOrigins: ['https://portal.example'] });
  for (const host of ['localhost:80', '[::1]:80', '127.0.0.1', 'portal.example']) {
    t.notThrows(() => checks.checkOrigin(request({ host })), host);
  }
  for (const host of ['evil.example', 'localhost.evil.example', '192.0.2.1', '', 'a b']) {
    t.throws(() => checks.checkOrigin(request({ host })), { instanceOf: HostRefusedError }, host);
  }
});
