// npm run build: everything that `npm start` needs, and no more.
import { exitOnFailure } from './failure.mjs';
import { setUp } from './set-up.mjs';

await exitOnFailure(() => setUp(['run', 'build']));
