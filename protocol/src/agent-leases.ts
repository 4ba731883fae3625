// The agent protocol's messages about scanouts that an agent lends to containers. agent.ts makes them part of the protocol.
import { z } from 'zod';
import { InputEvent } from './viewer.js';

const serial = z.number().int().min(1).max(0xffffffff).describe('repeated in the answer');
const device = z
  .number()
  .int()
  .min(0)
  .max(63)
  .describe("of the VM's virtio-gpu devices, counted from 0 by PCI address");
const scanout = z.number().int().min(0).max(15);
const dimension = z.number().int().min(1).max(16_384);
const refresh = z.number().int().min(0).max(500_000).describe("[mHz]; 0: the device's choice");
const lease = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/)
  .describe("the agent's name for it");
const text = z.string().max(512);

/** What an agent sends. */
export const leaseMessagesOfAgent = [
  z
    .strictObject({
      type: z.literal('scanout-configure'),
      serial,
      device,
      scanout,
      mode: z
        .strictObject({ width: dimension, height: dimension, refresh })
        .optional()
        .describe('absent: the display is disconnected'),
    })
    .describe(
      'Connects a display to a scanout of the VM in which the agent runs, or disconnects it.',
    ),
  z
    .strictObject({
      type: z.literal('lease-claim'),
      lease,
      owner: z.string().min(1).max(128).describe('for people'),
      device,
      scanout,
      width: dimension,
      height: dimension,
    })
    .describe(
      'A lease that there is now, or how it is now. The bridge compares it with what QEMU shows.',
    ),
  z.strictObject({ type: z.literal('lease-release'), lease }),
] as const;

/** What the bridge sends. */
export const leaseMessagesOfBridge = [
  z.strictObject({ type: z.literal('scanout-configured'), serial }),
  z.strictObject({ type: z.literal('scanout-refused'), serial, message: text }),
  z.strictObject({ type: z.literal('lease-refused'), lease, message: text }),
  z.strictObject({ type: z.literal('lease-resize'), lease, width: dimension, height: dimension }),
  z.strictObject({
    type: z.literal('lease-input'),
    lease,
    events: z.array(InputEvent).min(1).max(64),
  }),
  z
    .strictObject({ type: z.literal('lease-end'), lease, message: text })
    .describe('Somebody has ended the session: the agent takes the scanout back.'),
] as const;
