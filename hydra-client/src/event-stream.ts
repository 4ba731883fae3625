// Server-sent events (HTML Living Standard, 9.2), as far as this API uses them: the data of each event.

/** Longest line and longest event that is taken [characters]. */
export const MAX_EVENT = 256 * 1024;

/** Cuts text into events. Holds one event of MAX_EVENT characters at most. */
export class EventStreamParser {
  #rest = '';
  #data: string[] = [];
  #held = 0;

  /**
   * Takes text and gives the data of each event that it completes.
   * @throws {RangeError} when an event is longer than MAX_EVENT; the parser is of no use after it
   */
  *push(text: string): Generator<string> {
    this.#rest += text;
    for (;;) {
      const end = this.#rest.indexOf('\n');
      if (end < 0) break;
      const line = this.#rest.slice(0, end).replace(/\r$/, '');
      this.#rest = this.#rest.slice(end + 1);
      if (line === '') {
        if (this.#data.length > 0) yield this.#data.join('\n');
        this.#data = [];
        this.#held = 0;
        continue;
      }
      // Anything but data: comments, and fields that this API does not need.
      const data = /^data:? ?(.*)$/.exec(line)?.[1];
      if (data === undefined || !line.startsWith('data:')) continue;
      this.#held += data.length;
      this.#check(this.#held);
      this.#data.push(data);
    }
    this.#check(this.#rest.length);
  }

  #check(length: number): void {
    if (length > MAX_EVENT) throw new RangeError(`an event of more than ${MAX_EVENT} characters`);
  }
}
