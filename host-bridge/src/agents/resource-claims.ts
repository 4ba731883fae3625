// Which agent has which resources of a VM. Ids are small integers that anyone in the guest can guess: one that an
// agent has named is no other agent's until it gives it back.

/** The agents of one VM, by whatever stands for them. */
export class ResourceClaims<Agent> {
  readonly #holders = new Map<number, { agent: Agent; streams: Set<object> }>();

  /** @returns false: it is another agent's. Streams of one agent may share a resource. */
  take(agent: Agent, stream: object, resource: number): boolean {
    const holder = this.#holders.get(resource);
    if (holder && holder.agent !== agent) return false;
    if (holder) holder.streams.add(stream);
    else this.#holders.set(resource, { agent, streams: new Set([stream]) });
    return true;
  }

  drop(stream: object, resource: number): void {
    const holder = this.#holders.get(resource);
    if (holder?.streams.delete(stream) && holder.streams.size === 0) {
      this.#holders.delete(resource);
    }
  }
}
