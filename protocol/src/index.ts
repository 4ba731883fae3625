// The protocols are imported one by one: '@scanbridge/protocol/surface', '/viewer', '/viewer/video', '/agent'.
// This entry holds what they share.
export type { Fields, Value } from './struct.js';
export { FieldError } from './struct.js';
