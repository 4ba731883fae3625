// Desktops for leases, each filled with a colour: command lines for Compositor.start().
import type { Colour } from './compositor.js';
import type { Picture } from './picture.js';

const hex = (colour: Colour) => colour.map((part) => part.toString(16).padStart(2, '0')).join('');

/** A terminal that fills the screen with a colour and runs a command. */
const terminal = (colour: Colour, command = 'exec sleep 1000') =>
  `foot --fullscreen -o colors.background=${hex(colour)} sh -c 'printf "\\033[?25l"; ${command}'`;

/** sway. */
export function sway(colour: Colour): string {
  return [
    'cat > $XDG_RUNTIME_DIR/config <<CONFIG',
    'xwayland disable',
    `output * background #${hex(colour)} solid_color`,
    'CONFIG',
    'export SWAYSOCK=$XDG_RUNTIME_DIR/sway',
    'exec sway --config $XDG_RUNTIME_DIR/config',
  ].join('\n');
}

/** weston. */
export function weston(colour: Colour): string {
  return [
    'cat > $XDG_RUNTIME_DIR/weston.ini <<CONFIG',
    '[shell]',
    `background-color=0xff${hex(colour)}`,
    'panel-position=none',
    'CONFIG',
    'exec weston --backend=drm --renderer=pixman --idle-time=0 --config=$XDG_RUNTIME_DIR/weston.ini',
  ].join('\n');
}

/** weston, with a terminal that shows something new several times a second. */
export function busyWeston(colour: Colour, perSecond: number): string {
  const program = `while :; do date +%N; sleep ${1 / perSecond}; done`;
  return [
    'cat > $XDG_RUNTIME_DIR/weston.ini <<CONFIG',
    '[core]',
    'shell=kiosk',
    'CONFIG',
    'weston --backend=drm --renderer=pixman --idle-time=0 --config=$XDG_RUNTIME_DIR/weston.ini &',
    'until [ -S $XDG_RUNTIME_DIR/wayland-1 ]; do sleep 0.05; done',
    `WAYLAND_DISPLAY=wayland-1 ${terminal(colour, program)}`,
    'wait',
  ].join('\n');
}

/** Mutter, as GNOME Shell is one, with a terminal. */
export function mutter(colour: Colour): string {
  return [
    'export GSETTINGS_BACKEND=memory',
    `exec dbus-run-session -- mutter --wayland --no-x11 -- ${terminal(colour)}`,
  ].join('\n');
}

/** cage, with a terminal. */
export const cage = (colour: Colour): string => `exec cage -- ${terminal(colour)}`;

/** labwc, with a terminal. */
export const labwc = (colour: Colour): string =>
  `exec labwc -s ${JSON.stringify(terminal(colour)).replaceAll('\\\\', '\\')}`;

/** Mutter manages colours, and rounds on the way. */
const TOLERANCE = 8;

/** The part of a picture that has this colour. */
export function share({ rgb, width, height }: Picture, colour: Colour): number {
  let count = 0;
  for (let at = 0; at < rgb.length; at += 3) {
    if (colour.every((part, i) => Math.abs((rgb[at + i] as number) - part) <= TOLERANCE)) count++;
  }
  return count / (width * height);
}
