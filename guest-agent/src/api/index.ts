export { ContainerApis } from './container-api.js';
export { ManagerApi, type ManagerApiOptions } from './manager-api.js';
export { viewLease } from './view.js';
