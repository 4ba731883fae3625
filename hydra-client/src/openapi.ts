// The OpenAPI document, made of the schemas that the server checks with. GET /openapi.json serves it.
import { z } from 'zod';
import {
  ErrorBody,
  Health,
  Lease,
  LeaseEvent,
  LeaseRequest,
  MAX_BODY,
  ModeRequest,
  OwnLease,
  Scanout,
} from './api.js';

const SCHEMAS = {
  ErrorBody,
  Health,
  Lease,
  LeaseEvent,
  LeaseRequest,
  ModeRequest,
  OwnLease,
  Scanout,
};

type SchemaName = keyof typeof SCHEMAS;

const ref = (name: SchemaName) => ({ $ref: `#/components/schemas/${name}` });
const json = (schema: object) => ({ 'application/json': { schema } });
const answer = (description: string, schema: object) => ({ description, content: json(schema) });
const failure = answer('An error, with what to do about it', ref('ErrorBody'));
const listOf = (key: string, name: SchemaName) => ({
  type: 'object',
  required: [key],
  properties: { [key]: { type: 'array', items: ref(name) } },
});
const body = (name: SchemaName) => ({ required: true, content: json(ref(name)) });
const stream = (description: string) => ({
  '200': { description, content: { 'text/event-stream': { schema: ref('LeaseEvent') } } },
  default: failure,
});

function components(): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(SCHEMAS).map(([name, schema]) => {
      const io = name.endsWith('Request') ? 'input' : 'output';
      const { $schema: _, ...rest } = z.toJSONSchema(schema, { io });
      return [name, rest];
    }),
  );
}

const DESCRIPTION = `HTTP over Unix sockets. There are two kinds of socket, and each answers its own paths only:

- the manager's (tag \`manager\`), for the container manager. It is told by its peer's user id.
- one for each lease (tag \`container\`), which the container sees as $SCANBRIDGE_LEASE/api. Its peer's user id has to
  be the lease's, and each request carries \`Authorization: Bearer\` with the contents of $SCANBRIDGE_LEASE/token.

Bodies are JSON of ${MAX_BODY} bytes at most.`;

/** The document. It is data: whoever changes it changes his own copy only. */
export function openApiDocument(): Record<string, unknown> & {
  paths: Record<string, Record<string, unknown>>;
} {
  const id = { name: 'id', in: 'path', required: true, schema: { type: 'string', maxLength: 63 } };
  const manager = { tags: ['manager'], security: [] };
  const container = { tags: ['container'], security: [{ token: [] }] };
  return {
    openapi: '3.1.0',
    info: {
      title: 'Scanbridge agent, leases',
      version: '1',
      summary: 'Scanouts of a virtual machine for containers.',
      description: DESCRIPTION,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths: {
      '/v1/leases': {
        get: {
          ...manager,
          summary: 'List the leases',
          responses: {
            '200': answer('In the order in which they were created', listOf('leases', 'Lease')),
            default: failure,
          },
        },
        post: {
          ...manager,
          summary: 'Take a scanout for a container',
          requestBody: body('LeaseRequest'),
          responses: {
            '201': answer('The display is connected, and its device can be used', ref('Lease')),
            default: failure,
          },
        },
      },
      '/v1/leases/{id}': {
        parameters: [id],
        get: {
          ...manager,
          summary: 'One lease',
          responses: { '200': answer('The lease', ref('Lease')), default: failure },
        },
        patch: {
          ...manager,
          summary: "Change the size of a container's display",
          requestBody: body('ModeRequest'),
          responses: {
            '200': answer('The guest knows the new mode', ref('Lease')),
            default: failure,
          },
        },
        delete: {
          ...manager,
          summary: 'Take a scanout back, whatever its holder does',
          responses: { '200': answer('The lease that was', ref('Lease')), default: failure },
        },
      },
      '/v1/scanouts': {
        get: {
          ...manager,
          summary: 'List the scanouts, leased and free',
          responses: {
            '200': answer('By device and index', listOf('scanouts', 'Scanout')),
            default: failure,
          },
        },
      },
      '/v1/events': {
        get: {
          ...manager,
          summary: 'Follow the leases (server-sent events)',
          description:
            'Begins with all leases, so that nothing is missed between two streams. A reader that falls 64 KiB behind is disconnected.',
          responses: stream('Events, and a comment each 15 s'),
        },
      },
      '/v1/lease': {
        get: {
          ...container,
          summary: 'The own lease',
          responses: { '200': answer('The lease', ref('OwnLease')), default: failure },
        },
        patch: {
          ...container,
          summary: 'Change the size of the own display',
          requestBody: body('ModeRequest'),
          responses: {
            '200': answer('The guest knows the new mode', ref('OwnLease')),
            default: failure,
          },
        },
        delete: {
          ...container,
          summary: 'Give the own scanout back',
          responses: { '200': answer('The lease that was', ref('OwnLease')), default: failure },
        },
      },
      '/healthz': {
        get: {
          ...manager,
          summary: 'Whether the agent answers',
          responses: { '200': answer('It does', ref('Health')), default: failure },
        },
      },
      '/openapi.json': {
        get: {
          ...manager,
          summary: 'This document',
          responses: { '200': answer('OpenAPI 3.1', { type: 'object' }), default: failure },
        },
      },
    },
    components: {
      schemas: components(),
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    },
  };
}
