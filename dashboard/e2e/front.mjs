// The built page before a real server whose gateway has none, or an older one, in it: same policy, same origin.
import { createServer, request as ask } from 'node:http';
import { file } from './mock/files.mjs';

/** Serves the page and passes everything else on to the server at `target`. */
export async function front(target) {
  const server = createServer((request, response) => {
    if (!/^\/(admin|v1|openapi\.json)/.test(request.url)) {
      void file(response, new URL(request.url, target).pathname);
      return;
    }
    const { method } = request;
    const headers = { ...request.headers, host: new URL(target).host };
    if (headers.origin) headers.origin = target;
    const passed = ask(new URL(request.url, target), { method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    passed.on('error', () => response.destroy());
    response.on('close', () => passed.destroy());
    request.pipe(passed);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
