// The pictures of one desktop in a VM, on their way from its agent, who names resources, to an engine worker, who reads them.
import type { AgentRect, FromAgent } from '@scanbridge/protocol/agent';
import type { FeedCommand, FeedEvent } from '../worker/messages.js';
import { GuestClock } from './guest-clock.js';

export type ResourceMessage = Extract<FromAgent, { type: 'resource' }>;
export type FrameMessage = Extract<FromAgent, { type: 'frame' }>;

/** The agent's side. */
export interface FramesFrom {
  /** The frame is not read any more. Exactly once for each. */
  release(sequence: number): void;
  /** The exporter does not have the resource as it was described, or the guest has freed it. */
  refused(resource: number, code: string, message: string): void;
}

/** Longest side of a rectangle on the wire; no picture is larger [pixels]. */
const MAX_SIDE = 16_384;

interface Frame {
  /** Which release the agent waits for; undefined: it has it already. */
  readonly owed: number | undefined;
  readonly resource: number;
  /** [us, CLOCK_MONOTONIC of this machine] */
  readonly pts: number;
  /** Since the frame before; undefined: all of it. */
  readonly damage: AgentRect | undefined;
}

/**
 * Holds two frames: the one that the worker has, and the newest; an older one that waits is released unread. While no
 * worker reads (nobody looks, an engine starts anew) it keeps the newest unreleased, so that an agent that
 * waits for releases rests, and shows it when one does.
 */
export class ResourceStream {
  #agent: FramesFrom | undefined;
  #send: (command: FeedCommand) => void = () => undefined;
  #clock = new GuestClock();
  readonly #resources = new Map<number, Extract<FeedCommand, { type: 'resource' }>>();
  readonly #refused = new Set<number>();
  /** A worker reads. */
  #open = false;
  #token = 0;
  #sent: (Frame & { token: number }) | undefined;
  #waiting: Frame | undefined;
  /** What viewers see, if its resource is still there. */
  #shown: Frame | undefined;
  /** A frame was released unread, so the next one's damage does not tell all. */
  #gap = false;

  /** @param send to the worker, as long as there is one */
  connect(send: (command: FeedCommand) => void): void {
    this.#send = send;
  }

  /** An agent begins; what another one said is void. */
  begin(agent: FramesFrom): void {
    this.end();
    this.#agent = agent;
  }

  /** The agent is gone: nothing is owed to it, and its resources mean nothing. */
  end(): void {
    this.#agent = undefined;
    for (const id of this.#resources.keys()) this.#send({ type: 'resource-gone', resource: id });
    this.#resources.clear();
    this.#refused.clear();
    this.#sent = this.#waiting = this.#shown = undefined;
    this.#clock = new GuestClock();
  }

  /** Resources that the agent has named. */
  get resources(): ReadonlyMap<number, { readonly width: number; readonly height: number }> {
    return this.#resources;
  }

  add({ stream: _, ...layout }: ResourceMessage): void {
    this.#resources.set(layout.resource, layout);
    this.#refused.delete(layout.resource);
    if (this.#open) this.#send(layout);
  }

  /** Its frames are released. */
  remove(resource: number): void {
    if (!this.#resources.delete(resource)) return;
    this.#refused.delete(resource);
    if (this.#shown?.resource === resource) this.#shown = undefined;
    if (this.#waiting?.resource === resource) {
      const frame = this.#waiting;
      this.#waiting = undefined;
      this.#gap = true;
      this.#release(frame);
    }
    if (this.#open) this.#send({ type: 'resource-gone', resource });
  }

  /** @param nowUs when it came [us, CLOCK_MONOTONIC] */
  show({ sequence, resource, pts, damage }: FrameMessage, nowUs: number): void {
    const older = this.#waiting;
    const whole = this.#gap || (older !== undefined && older.damage === undefined);
    const frame: Frame = {
      owed: sequence,
      resource,
      pts: this.#clock.toHost(pts, nowUs),
      damage: whole ? undefined : union(older?.damage, damage),
    };
    this.#gap = !this.#resources.has(resource) || this.#refused.has(resource);
    if (this.#gap) {
      this.#release(frame);
      return;
    }
    this.#waiting = frame;
    if (older) this.#release(older);
    this.#pump();
  }

  /** What the worker says. */
  onWorker(event: FeedEvent): void {
    switch (event.type) {
      case 'source':
        if (event.open) this.#opened();
        else this.lost();
        return;
      case 'released': {
        const frame = this.#sent;
        if (frame?.token !== event.token) return;
        this.#sent = undefined;
        if (this.#resources.has(frame.resource)) this.#shown = frame;
        this.#release(frame);
        this.#pump();
        return;
      }
      case 'resource-refused':
        if (!this.#resources.has(event.resource)) return;
        this.#refused.add(event.resource);
        if (this.#shown?.resource === event.resource) this.#shown = undefined;
        this.#agent?.refused(event.resource, event.code, event.message);
    }
  }

  /** The worker reads no more. */
  lost(): void {
    this.#open = false;
    const frame = this.#sent;
    this.#sent = undefined;
    if (!frame) return;
    if (this.#waiting || !this.#resources.has(frame.resource)) this.#release(frame);
    else this.#waiting = frame;
  }

  #opened(): void {
    this.lost();
    this.#open = true;
    // A guest may have made by now what the exporter did not have before.
    this.#refused.clear();
    for (const layout of this.#resources.values()) this.#send(layout);
    const newest = this.#waiting ?? (this.#shown && { ...this.#shown, owed: undefined });
    this.#waiting = newest && { ...newest, damage: undefined };
    this.#pump();
  }

  #pump(): void {
    const frame = this.#waiting;
    if (!this.#open || this.#sent || !frame) return;
    this.#waiting = undefined;
    this.#token = (this.#token + 1) >>> 0;
    this.#sent = { ...frame, token: this.#token };
    const { resource, pts, damage } = frame;
    this.#send({ type: 'frame', token: this.#token, resource, pts, ...(damage && { damage }) });
  }

  #release({ owed }: Frame): void {
    if (owed !== undefined) this.#agent?.release(owed);
  }
}

/** A rectangle that holds both; undefined holds nothing as the first, and is everything as the second. */
function union(known: AgentRect | undefined, added: AgentRect | undefined): AgentRect | undefined {
  if (!known || !added) return added;
  const x = Math.min(known.x, added.x);
  const y = Math.min(known.y, added.y);
  return {
    x,
    y,
    width: Math.min(MAX_SIDE, Math.max(known.x + known.width, added.x + added.width) - x),
    height: Math.min(MAX_SIDE, Math.max(known.y + known.height, added.y + added.height) - y),
  };
}
