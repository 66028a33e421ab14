// `npm run mock`: the mock server on 127.0.0.1:8080, or the port that is named.
import { serve } from './server.mjs';

const { url } = await serve(Number(process.argv[2] ?? 8080));
console.log(`the mock server is at ${url}; \`npm run dev\` shows the page against it`);
