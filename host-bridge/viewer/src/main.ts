// The page's entry: looks at what the browser can do, then shows the view that the address names.
import { decodableCodecs } from './codecs.js';
import { takeTokenFromAddress } from './credentials.js';
import { GridView } from './grid-view.js';
import { exposeInspection } from './inspect.js';
import { environmentReason } from './reasons.js';
import { currentRoute } from './router.js';
import { SessionView, type View } from './session-view.js';
import { Sessions } from './sessions.js';

const app = document.getElementById('app');
if (!app) throw new Error('the page has no #app');

takeTokenFromAddress();
// Reading the route takes its token, too: the first question to the bridge already needs it.
currentRoute();
const environment = environmentReason();
const codecs = environment ? [] : await decodableCodecs();
const sessions = new Sessions();
let view: View | undefined;

function show(): void {
  view?.close();
  const route = currentRoute();
  view =
    route.view === 'session'
      ? new SessionView(route.id, codecs, sessions, environment)
      : new GridView(codecs, sessions, environment);
  app?.replaceChildren(view.element);
}

exposeInspection();
addEventListener('hashchange', show);
show();
