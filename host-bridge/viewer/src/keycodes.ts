// From the key that was pressed to the code that Linux gives it.
// KeyboardEvent.code names the position of a key, whatever the layout says (W3C UI Events KeyboardEvent code
// Values), and so does an evdev code (linux/input-event-codes.h): the desktop's own layout makes the character.

const LETTERS: readonly (readonly [string, number])[] = [
  ['QWERTYUIOP', 16],
  ['ASDFGHJKL', 30],
  ['ZXCVBNM', 44],
];

const KEYS: Readonly<Record<string, number>> = {
  // The writing system keys.
  Backquote: 41,
  Backslash: 43,
  BracketLeft: 26,
  BracketRight: 27,
  Comma: 51,
  Digit0: 11,
  Equal: 13,
  IntlBackslash: 86,
  IntlHash: 43,
  IntlRo: 89,
  IntlYen: 124,
  Minus: 12,
  Period: 52,
  Quote: 40,
  Semicolon: 39,
  Slash: 53,

  // Modifiers and what surrounds the letters.
  AltLeft: 56,
  AltRight: 100,
  Backspace: 14,
  CapsLock: 58,
  ContextMenu: 127,
  ControlLeft: 29,
  ControlRight: 97,
  Enter: 28,
  MetaLeft: 125,
  MetaRight: 126,
  OSLeft: 125,
  OSRight: 126,
  ShiftLeft: 42,
  ShiftRight: 54,
  Space: 57,
  Tab: 15,

  // Japanese and Korean keyboards.
  Convert: 92,
  Hiragana: 91,
  KanaMode: 93,
  Katakana: 90,
  Lang1: 122,
  Lang2: 123,
  Lang3: 90,
  Lang4: 91,
  Lang5: 85,
  NonConvert: 94,

  // Control and arrow pads.
  ArrowDown: 108,
  ArrowLeft: 105,
  ArrowRight: 106,
  ArrowUp: 103,
  Delete: 111,
  End: 107,
  Help: 138,
  Home: 102,
  Insert: 110,
  PageDown: 109,
  PageUp: 104,

  // Number pad.
  NumLock: 69,
  Numpad0: 82,
  Numpad1: 79,
  Numpad2: 80,
  Numpad3: 81,
  Numpad4: 75,
  Numpad5: 76,
  Numpad6: 77,
  Numpad7: 71,
  Numpad8: 72,
  Numpad9: 73,
  NumpadAdd: 78,
  NumpadComma: 121,
  NumpadDecimal: 83,
  NumpadDivide: 98,
  NumpadEnter: 96,
  NumpadEqual: 117,
  NumpadMultiply: 55,
  NumpadParenLeft: 179,
  NumpadParenRight: 180,
  NumpadSubtract: 74,

  // Function row.
  Escape: 1,
  F11: 87,
  F12: 88,
  Fn: 464,
  Pause: 119,
  PrintScreen: 99,
  ScrollLock: 70,

  // Media, browser and power keys; those that older browsers name differently stand twice.
  AudioVolumeDown: 114,
  AudioVolumeMute: 113,
  AudioVolumeUp: 115,
  BrightnessDown: 224,
  BrightnessUp: 225,
  BrowserBack: 158,
  BrowserFavorites: 156,
  BrowserForward: 159,
  BrowserHome: 172,
  BrowserRefresh: 173,
  BrowserSearch: 217,
  BrowserStop: 128,
  Eject: 161,
  LaunchApp1: 144,
  LaunchApp2: 140,
  LaunchMail: 155,
  LaunchMediaPlayer: 226,
  MediaFastForward: 208,
  MediaPause: 201,
  MediaPlay: 207,
  MediaPlayPause: 164,
  MediaRecord: 167,
  MediaRewind: 168,
  MediaSelect: 226,
  MediaStop: 166,
  MediaTrackNext: 163,
  MediaTrackPrevious: 165,
  MicrophoneMuteToggle: 248,
  Power: 116,
  Sleep: 142,
  VolumeDown: 114,
  VolumeMute: 113,
  VolumeUp: 115,
  WakeUp: 143,

  // Sun keyboards.
  Again: 129,
  Copy: 133,
  Cut: 137,
  Find: 136,
  Open: 134,
  Paste: 135,
  Props: 130,
  Select: 353,
  Undo: 131,
};

function build(): ReadonlyMap<string, number> {
  const table = new Map(Object.entries(KEYS));
  for (const [row, first] of LETTERS) {
    [...row].forEach((letter, i) => {
      table.set(`Key${letter}`, first + i);
    });
  }
  for (let digit = 1; digit <= 9; digit++) table.set(`Digit${digit}`, 1 + digit);
  for (let key = 1; key <= 10; key++) table.set(`F${key}`, 58 + key);
  for (let key = 13; key <= 24; key++) table.set(`F${key}`, 170 + key);
  return table;
}

/** KeyboardEvent.code -> evdev key code; a code that is absent has no evdev key. */
export const EVDEV_KEYS: ReadonlyMap<string, number> = build();

/** evdev buttons by bit of MouseEvent.buttons: left, right, middle, back (BTN_SIDE), forward (BTN_EXTRA). */
export const EVDEV_BUTTONS: readonly number[] = [0x110, 0x111, 0x112, 0x113, 0x114];
