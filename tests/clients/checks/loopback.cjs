// Keeps a client on this machine: every host name but its own is unknown at once.

const dns = require('node:dns');

const lookup = dns.lookup;
dns.lookup = (host, ...rest) => {
  if (/^(localhost|127\.|::1$)/.test(String(host))) return lookup.call(dns, host, ...rest);
  const error = Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND', hostname: host });
  process.nextTick(() => rest.at(-1)(error));
};
