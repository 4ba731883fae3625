export { CDI_FOLDER, CdiFile } from './file.js';
export { type CdiDevice, type CdiSpec, cdiSpec } from './spec.js';
