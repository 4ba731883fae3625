// A process of many viewers without a screen: node viewers.js URL SESSION COUNT. Prints "ready" when each of
// them has its first access unit; answers each message of its parent with what they got so far.
import { ViewerClient } from '@scanbridge/bridge';

const [url = '', session = '', count = '1'] = process.argv.slice(2);
let units = 0;
let bytes = 0;
let gaps = 0;
let waiting = Number(count);
for (let i = 0; i < Number(count); i++) {
  const viewer = new ViewerClient(url, session);
  let last: number | undefined;
  viewer.on('unit', (header, accessUnit) => {
    if (last === undefined && --waiting === 0) process.stdout.write('ready\n');
    if (last !== undefined && header.sequence !== (last + 1) >>> 0) gaps++;
    last = header.sequence;
    units++;
    bytes += accessUnit.length;
  });
  viewer.on('close', (code) => {
    process.stderr.write(`a viewer was closed with ${code}\n`);
    process.exit(1);
  });
}
process.on('message', () => process.send?.({ units, bytes, gaps }));
process.on('disconnect', () => process.exit(0));
