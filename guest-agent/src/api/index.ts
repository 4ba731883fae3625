export { ContainerApis } from './container-api.js';
export { ManagerApi, type ManagerApiOptions } from './manager-api.js';
export { cdiName, environmentOf } from './view.js';
