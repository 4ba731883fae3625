// The device plugin API's services, with types, out of device-plugin.proto.
import { fileURLToPath } from 'node:url';
import {
  type ChannelCredentials,
  type ClientOptions,
  loadPackageDefinition,
  type ServiceDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

/** Version of the API, as the registration says it. */
export const API_VERSION = 'v1beta1';

export interface PluginOptions {
  preStartRequired: boolean;
  getPreferredAllocationAvailable: boolean;
}

export interface RegisterRequest {
  version: string;
  endpoint: string;
  resourceName: string;
  options: PluginOptions;
}

export interface Device {
  id: string;
  health: 'Healthy' | 'Unhealthy';
}

export interface AllocateRequest {
  containerRequests: { deviceIds: string[] }[];
}

export interface AllocateResponse {
  containerResponses: { cdiDevices: { name: string }[] }[];
}

/** A client of the kubelet. */
export interface RegistrationClient {
  Register(
    request: RegisterRequest,
    options: { deadline: Date },
    done: (error: ServiceError | null) => void,
  ): unknown;
  close(): void;
}

interface Loaded {
  v1beta1: {
    Registration: new (
      address: string,
      credentials: ChannelCredentials,
      options?: ClientOptions,
    ) => RegistrationClient;
    DevicePlugin: { service: ServiceDefinition };
  };
}

// Beside the source: the compiler copies no .proto files.
const PROTO = fileURLToPath(new URL('../../../src/kubelet/device-plugin.proto', import.meta.url));

export const { Registration, DevicePlugin } = (
  loadPackageDefinition(loadSync(PROTO, { defaults: true })) as unknown as Loaded
).v1beta1;
