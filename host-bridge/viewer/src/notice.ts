// Shows a reason where the picture would be: large where there is none, as a strip where an old one still stands.
import { element, setText } from './element.js';
import type { Reason } from './reasons.js';

const LABELS = {
  retry: 'Try again',
  reload: 'Reload the page',
  token: 'Use this token',
  grid: 'All desktops',
} as const;

export interface NoticeActions {
  retry(): void;
  token(token: string): void;
  grid(): void;
}

export class Notice {
  readonly element: HTMLDivElement;
  readonly #title = element('h2', { class: 'notice-title' });
  readonly #text = element('p', { class: 'notice-text' });
  readonly #actions = element('div', { class: 'notice-actions' });
  #shown: Reason | undefined;

  constructor(readonly actions: NoticeActions) {
    const mark = element('span', { class: 'notice-mark', 'aria-hidden': 'true' });
    const words = element('div', { class: 'notice-words' }, this.#title, this.#text, this.#actions);
    this.element = element(
      'div',
      { class: 'notice', role: 'status', 'aria-live': 'polite', hidden: true },
      element('div', { class: 'notice-card' }, mark, words),
    );
  }

  /** @param overPicture whether an old picture stays visible behind it */
  show(reason: Reason | undefined, overPicture: boolean): void {
    this.element.hidden = reason === undefined;
    this.element.classList.toggle('over-picture', overPicture);
    if (!reason) {
      delete this.element.dataset.reason;
      this.#shown = undefined;
      return;
    }
    this.element.dataset.reason = reason.id;
    this.element.classList.toggle('busy', reason.busy);
    setText(this.#title, reason.title);
    setText(this.#text, reason.text);
    // A form that is being filled in stays.
    if (reason.action !== this.#shown?.action)
      this.#actions.replaceChildren(...this.#buttons(reason));
    this.#shown = reason;
  }

  #buttons(reason: Reason): Node[] {
    const { action } = reason;
    if (!action) return [];
    const button = element('button', { class: 'button', type: 'submit' }, LABELS[action]);
    if (action !== 'token') {
      button.type = 'button';
      button.onclick = () => {
        if (action === 'reload') location.reload();
        else this.actions[action]();
      };
      return [button];
    }
    const field = element('input', {
      class: 'field',
      type: 'password',
      autocomplete: 'off',
      'aria-label': 'Token',
      placeholder: 'Token',
      required: true,
    });
    const form = element('form', { class: 'token-form' }, field, button);
    form.onsubmit = (event) => {
      event.preventDefault();
      this.actions.token(field.value.trim());
    };
    return [form];
  }
}
