import type { Descriptor } from '@scanbridge/native-guest/lease';
import type { Keeper, Kept } from './keeper.js';

/**
 * A place where one object puts what an agent after this one needs to take it up, and where it finds what an agent
 * before has put. Without a keeper nothing is kept.
 */
export class Shelf {
  constructor(
    private readonly keeper: Keeper | undefined,
    private readonly kept: Map<string, Kept>,
    private readonly prefix = '',
  ) {}

  /** A place within this one. */
  within(name: string): Shelf {
    return new Shelf(this.keeper, this.kept, `${this.prefix}${name}/`);
  }

  keep(name: string, value: unknown, descriptor?: Descriptor): void {
    this.keeper?.keep(this.prefix + name, value, descriptor);
  }

  forget(name: string): void {
    this.keeper?.forget(this.prefix + name);
  }

  /** What was put there before; it is the caller's from now on, and stays kept until it is forgotten. */
  take(name: string): Kept | undefined {
    const key = this.prefix + name;
    const found = this.kept.get(key);
    this.kept.delete(key);
    return found;
  }

  /** Closes and forgets what nobody has taken. */
  forgetRest(): void {
    for (const [key, { descriptor }] of this.kept) {
      if (!key.startsWith(this.prefix)) continue;
      this.kept.delete(key);
      descriptor?.close();
      this.keeper?.forget(key);
    }
  }

  /** First parts of the names that were put there before. */
  names(): string[] {
    const within = [...this.kept.keys()].filter((key) => key.startsWith(this.prefix));
    return [...new Set(within.map((key) => key.slice(this.prefix.length).split('/')[0] as string))];
  }
}
